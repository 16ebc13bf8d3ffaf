package role

import (
	"crypto/x509"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// CSRWish is what a caller of intermediate/generate asks of the certification
// request. Validity is whoever signs it to give: it is read, and checked by
// nobody.
type CSRWish struct {
	caNames
	basicConstraints bool
	keyUsage         x509.KeyUsage
	warnings         []string
}

// ReadCSR takes such a wish out of a request's parameters. The error is one of
// vaultapi's conversion errors.
func ReadCSR(p *vaultapi.Params) (*CSRWish, error) {
	w := &CSRWish{caNames: readCANames(p), basicConstraints: p.Bool("add_basic_constraints", false)}
	var unknown []string
	if w.keyUsage, unknown = keyUsageBits(p.StringList("key_usage")); len(unknown) > 0 {
		w.warnings = append(w.warnings, "key_usage has names that nothing is known by: "+strings.Join(unknown, ", "))
	}
	return w, p.Err()
}

// Request is the request for the CSR. An error is a *Refusal.
func (w *CSRWish) Request() (*issuance.CSRRequest, []string, error) {
	n, err := w.names()
	if err != nil {
		return nil, nil, err
	}
	req := &issuance.CSRRequest{
		Names:            w.rules.namesFor(n),
		BasicConstraints: w.basicConstraints,
		KeyUsage:         w.keyUsage,
		SignatureBits:    w.rules.SignatureBits,
		PSS:              w.rules.UsePSS,
	}
	warnings := append(n.warnings(), w.warnings...)
	if len(req.Subject.ToRDNSequence()) == 0 {
		warnings = append(warnings, "This certification request has no subject: whoever signs it must give one.")
	}
	return req, warnings, nil
}
