package mounts

import (
	"bytes"
	"context"
	"crypto/x509"

	"github.com/hsmpki/hsmpki/pkid/ca"
)

// Revoked reports whether a certificate is revoked by a CA of one of the mounts.
// Its issuer, if it is given, has signed it; else it is looked for among those of
// the mounts.
func (t *Table) Revoked(ctx context.Context, cert, issuer *x509.Certificate) (bool, error) {
	for _, m := range t.List() {
		if m.Authority == nil {
			continue
		}
		for _, i := range issuersOf(m.Authority, cert, issuer) {
			if revoked, err := m.Authority.HasRevoked(ctx, i, cert.SerialNumber); revoked || err != nil {
				return revoked, err
			}
		}
	}
	return false, nil
}

func issuersOf(a *ca.Authority, cert, issuer *x509.Certificate) (found []*x509.Certificate) {
	if issuer != nil {
		return []*x509.Certificate{issuer}
	}
	all, _ := a.Issuers()
	for _, i := range all {
		if bytes.Equal(i.Certificate.RawSubject, cert.RawIssuer) && cert.CheckSignatureFrom(i.Certificate) == nil {
			found = append(found, i.Certificate)
		}
	}
	return found
}
