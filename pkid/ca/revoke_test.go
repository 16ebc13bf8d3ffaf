package ca_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/ca"
)

// TestRevokeExpired: a certificate from before this mount that is presented and
// has expired is not revoked, and not kept either.
func TestRevokeExpired(t *testing.T) {
	a := alone(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Root"}, NotBefore: now.AddDate(-2, 0, 0), NotAfter: now.AddDate(2, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	signed := func(c *x509.Certificate) *x509.Certificate {
		leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		public := leafKey.Public()
		if c == root {
			public = key.Public()
		}
		der, err := x509.CreateCertificate(rand.Reader, c, root, public, key)
		must(t, err)
		parsed, err := x509.ParseCertificate(der)
		must(t, err)
		return parsed
	}
	_, err = a.Import(t.Context(), &ca.ImportRequest{PEM: ca.PEM("CERTIFICATE", signed(root).Raw)})
	must(t, err)
	for _, c := range []struct {
		ends    time.Duration
		revoked bool
		kept    int64
	}{{-time.Hour, false, 0}, {time.Hour, true, 1}} {
		leaf := signed(&x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "a"}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.Add(c.ends)})
		done, err := a.Revoke(t.Context(), &ca.RevokeRequest{Certificate: leaf})
		must(t, err)
		n, err := a.Count(t.Context())
		must(t, err)
		if !done.At.IsZero() != c.revoked || n != c.kept {
			t.Errorf("a certificate until %v from now: revoked %v, %d are kept; want %v, %d", c.ends, !done.At.IsZero(), n, c.revoked, c.kept)
		}
	}
}
