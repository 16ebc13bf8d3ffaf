package role

import (
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// RootWish is what a caller of root/generate asks of the certificate.
type RootWish struct {
	caNames
	*caPowers
}

// ReadRoot takes a wish for a root out of a request's parameters. An error is
// a *Refusal or one of vaultapi's conversion errors.
func ReadRoot(p *vaultapi.Params) (*RootWish, error) {
	names := readCANames(p)
	powers, err := readCAPowers(p)
	if err != nil {
		return nil, err
	}
	return &RootWish{names, powers}, nil
}

// Request is the request for the root's certificate. The caller sets PublicKey
// and URLs. An error is a *Refusal.
func (w *RootWish) Request(t *Terms) (*issuance.CARequest, []string, error) {
	n, err := w.names()
	if err != nil {
		return nil, nil, err
	}
	notBefore, notAfter, warnings, err := w.rules.validity(w.wish, t)
	if err != nil {
		return nil, nil, err
	}
	warnings = append(warnings, n.warnings()...)
	return &issuance.CARequest{
		Names:           w.rules.namesFor(n),
		KeyUsage:        w.keyUsage,
		MaxPathLength:   w.maxPathLength,
		NameConstraints: w.constraints,
		NotBefore:       notBefore,
		NotAfter:        notAfter,
		SignatureBits:   w.rules.SignatureBits,
		PSS:             w.rules.UsePSS,
	}, append(warnings, w.caPowers.warnings...), nil
}
