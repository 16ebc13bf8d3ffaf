package ledger

import (
	"encoding/asn1"
	"encoding/hex"
	"fmt"

	"crypto/x509/pkix"
)

// Rule names what a Refusal goes by.
type Rule string

// The rules.
const (
	RuleSerial  Rule = "serial"  // a serial number for one certificate
	RuleRevoked Rule = "revoked" // what is revoked stays revoked
	RuleIssued  Rule = "issued"  // OCSP says "good" of what was issued
	RuleNumber  Rule = "number"  // CRL numbers grow
	RuleOrder   Rule = "order"   // a long CRL has its entries in order
)

// Refusal is what the ledger has against signing.
type Refusal struct {
	Rule   Rule
	Reason string // for people
	// Approvable says that people who know more than the ledger may have it
	// signed all the same: a CA was restored, or issued elsewhere before.
	Approvable bool
	// Again says that the same message may be signed a little later.
	Again bool
}

// Error gives the reason in one line.
func (r *Refusal) Error() string {
	if r.Approvable {
		return r.Reason + " (that would need approval)"
	}
	return r.Reason
}

func refuse(rule Rule, format string, args ...any) *Refusal {
	return &Refusal{Rule: rule, Approvable: true, Reason: fmt.Sprintf(format, args...)}
}

// colons writes a serial number as logs and the API do.
func colons(octets []byte) string {
	if len(octets) > 1 && octets[0] == 0 {
		octets = octets[1:]
	}
	out := make([]byte, 0, 3*len(octets))
	for i, b := range octets {
		if i > 0 {
			out = append(out, ':')
		}
		out = hex.AppendEncode(out, []byte{b})
	}
	return string(out)
}

// shown writes a Name for people.
func shown(name []byte) string {
	var rdns pkix.RDNSequence
	if rest, err := asn1.Unmarshal(name, &rdns); err != nil || len(rest) > 0 {
		return hex.EncodeToString(name)
	}
	return rdns.String()
}
