package role

import (
	"crypto/x509"
	"encoding/asn1"
	"math"
	"strconv"
	"strings"
)

// keyUsages are the names that key_usage knows, compared without case.
var keyUsages = []struct {
	name string
	bit  x509.KeyUsage
}{
	{"DigitalSignature", x509.KeyUsageDigitalSignature},
	{"ContentCommitment", x509.KeyUsageContentCommitment},
	{"KeyEncipherment", x509.KeyUsageKeyEncipherment},
	{"DataEncipherment", x509.KeyUsageDataEncipherment},
	{"KeyAgreement", x509.KeyUsageKeyAgreement},
	{"CertSign", x509.KeyUsageCertSign},
	{"CRLSign", x509.KeyUsageCRLSign},
	{"EncipherOnly", x509.KeyUsageEncipherOnly},
	{"DecipherOnly", x509.KeyUsageDecipherOnly},
}

// extKeyUsages are the names that ext_key_usage knows, in the order in which a
// certificate lists them.
var extKeyUsages = []struct {
	name  string
	usage x509.ExtKeyUsage
}{
	{"Any", x509.ExtKeyUsageAny},
	{"ServerAuth", x509.ExtKeyUsageServerAuth},
	{"ClientAuth", x509.ExtKeyUsageClientAuth},
	{"CodeSigning", x509.ExtKeyUsageCodeSigning},
	{"EmailProtection", x509.ExtKeyUsageEmailProtection},
	{"IPSECEndSystem", x509.ExtKeyUsageIPSECEndSystem},
	{"IPSECTunnel", x509.ExtKeyUsageIPSECTunnel},
	{"IPSECUser", x509.ExtKeyUsageIPSECUser},
	{"TimeStamping", x509.ExtKeyUsageTimeStamping},
	{"OCSPSigning", x509.ExtKeyUsageOCSPSigning},
	{"MicrosoftServerGatedCrypto", x509.ExtKeyUsageMicrosoftServerGatedCrypto},
	{"NetscapeServerGatedCrypto", x509.ExtKeyUsageNetscapeServerGatedCrypto},
}

// keyUsageBits reads key_usage. Unknown names count for nothing, as in Vault;
// they are returned so that a role's writer can be warned.
func keyUsageBits(names []string) (usage x509.KeyUsage, unknown []string) {
names:
	for _, name := range names {
		for _, k := range keyUsages {
			if strings.EqualFold(strings.TrimSpace(name), k.name) {
				usage |= k.bit
				continue names
			}
		}
		unknown = append(unknown, name)
	}
	return usage, unknown
}

// usageFor is keyUsageBits for a key of this type. ML-DSA signs and does
// nothing else, and a certificate must not say otherwise (RFC 9881, section 5):
// what does not go with it is left out, as the default has KeyAgreement and
// KeyEncipherment.
func usageFor(keyType string, names []string) (x509.KeyUsage, error) {
	usage, _ := keyUsageBits(names)
	if keyType != KeyMLDSA || usage == 0 {
		return usage, nil
	}
	usage &= x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | caUsages
	if usage == 0 {
		return 0, refuse("key_usage has nothing that a key of type ml-dsa can be used for: DigitalSignature or ContentCommitment")
	}
	return usage, nil
}

// extKeyUsageList reads ext_key_usage and the role's flags; unknown names as
// in keyUsageBits.
func extKeyUsageList(r *Role) (usages []x509.ExtKeyUsage, unknown []string) {
	wanted := map[x509.ExtKeyUsage]bool{
		x509.ExtKeyUsageServerAuth:      r.ServerFlag,
		x509.ExtKeyUsageClientAuth:      r.ClientFlag,
		x509.ExtKeyUsageCodeSigning:     r.CodeSigningFlag,
		x509.ExtKeyUsageEmailProtection: r.EmailProtectionFlag,
	}
names:
	for _, name := range r.ExtKeyUsage {
		for _, k := range extKeyUsages {
			if strings.EqualFold(strings.TrimSpace(name), k.name) {
				wanted[k.usage] = true
				continue names
			}
		}
		unknown = append(unknown, name)
	}
	for _, k := range extKeyUsages {
		if wanted[k.usage] {
			usages = append(usages, k.usage)
		}
	}
	return usages, unknown
}

// unknownUsages warns of names in key_usage and ext_key_usage that count for
// nothing.
func (r *Role) unknownUsages() (warnings []string) {
	if _, unknown := keyUsageBits(r.KeyUsage); len(unknown) > 0 {
		warnings = append(warnings, "key_usage has names that nothing is known by: "+strings.Join(unknown, ", "))
	}
	if _, unknown := extKeyUsageList(r); len(unknown) > 0 {
		warnings = append(warnings, "ext_key_usage has names that nothing is known by: "+strings.Join(unknown, ", "))
	}
	return warnings
}

// extKeyUsageOIDs reads ext_key_usage_oids. The error is a *Refusal.
func extKeyUsageOIDs(texts []string) ([]asn1.ObjectIdentifier, error) {
	var oids []asn1.ObjectIdentifier
	for _, text := range texts {
		oid, err := ParseOID(text)
		if err != nil {
			return nil, refuse("%q could not be parsed as a valid oid for an extended key usage", text)
		}
		oids = append(oids, oid)
	}
	return oids, nil
}

// ParseOID reads a dotted object identifier that DER can carry (X.660: a first
// arc of 0, 1 or 2, the second below 40 under the first two).
func ParseOID(text string) (asn1.ObjectIdentifier, error) {
	var oid asn1.ObjectIdentifier
	for arc := range strings.SplitSeq(text, ".") {
		n, err := strconv.Atoi(arc)
		if err != nil {
			return nil, err
		}
		oid = append(oid, n)
	}
	if len(oid) < 2 || oid[0] < 0 || oid[0] > 2 || oid[1] < 0 || oid[0] < 2 && oid[1] >= 40 {
		return nil, strconv.ErrRange
	}
	for _, n := range oid {
		if n < 0 || n > math.MaxInt32 {
			return nil, strconv.ErrRange
		}
	}
	return oid, nil
}
