package ocsp_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/ocsp"
	"github.com/hsmpki/hsmpki/wire"
)

func TestCertificate(t *testing.T) {
	a := newAuthority(start)
	i := a.issuer(t, "Root", "P-256", 0, year)
	r := a.open(t)
	leaf := a.leaf(t, i).SerialNumber
	wantStatus(t, "the first", ask(t, r, about(t, i, leaf)), ocsp.Successful)
	if len(a.kept) != 1 {
		t.Fatalf("%d certificates were kept", len(a.kept))
	}
	cert := a.kept[0]
	if err := cert.CheckSignatureFrom(i.Certificate); err != nil {
		t.Error(err)
	}
	if life := cert.NotAfter.Sub(cert.NotBefore); life > 7*24*time.Hour || cert.NotBefore.After(start) {
		t.Errorf("valid from %s for %s", cert.NotBefore, life)
	}
	if cert.KeyUsage != x509.KeyUsageDigitalSignature || len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageOCSPSigning ||
		len(cert.UnknownExtKeyUsage) != 0 || cert.IsCA || len(cert.OCSPServer)+len(cert.CRLDistributionPoints) != 0 {
		t.Errorf("certificate %+v", cert)
	}
	noCheck := slices.IndexFunc(cert.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}) })
	if noCheck < 0 || cert.Extensions[noCheck].Critical || string(cert.Extensions[noCheck].Value) != "\x05\x00" {
		t.Error("no id-pkix-ocsp-nocheck")
	}
}

// TestCertificateIsLinted: what a lint refuses, the issuer's key does not sign.
func TestCertificateIsLinted(t *testing.T) {
	a := newAuthority(start)
	i := a.issuer(t, "Root", "P-256", 0, year)
	r := a.open(t)
	leaf := a.leaf(t, i).SerialNumber
	var before int
	a.lock(func() { a.finding, before = errors.New("e_odd"), a.signed })
	wantStatus(t, "refused", ask(t, r, about(t, i, leaf)), ocsp.InternalError)
	if len(a.kept) != 0 || a.signed != before {
		t.Errorf("%d certificates were kept, and %d signatures made", len(a.kept), a.signed-before)
	}
	a.lock(func() { a.finding = nil })
	a.pass(time.Minute)
	wantStatus(t, "waived", ask(t, r, about(t, i, leaf)), ocsp.Successful)
}

func TestCertificateIsRenewed(t *testing.T) {
	a := newAuthority(start)
	i := a.issuer(t, "Root", "P-256", 0, year)
	r := a.open(t)
	leaf := a.leaf(t, i).SerialNumber
	fresh := func(what string, want int) {
		t.Helper()
		q := about(t, i, leaf)
		q.list = nonce(16)
		parse(t, ask(t, r, q), leaf, i.Certificate)
		if len(a.kept) != want {
			t.Errorf("%s: %d certificates, want %d", what, len(a.kept), want)
		}
	}
	fresh("at first", 1)
	a.pass(3 * 24 * time.Hour)
	fresh("before half of its life", 1)

	// While the key is away the old one does; it is asked for once a minute.
	a.pass(24 * time.Hour)
	a.lock(func() { a.keyFault = wire.Errorf(wire.Unavailable, "away") })
	asked := a.asked
	for range 5 {
		fresh("away", 1)
	}
	if a.asked != asked+1 {
		t.Errorf("asked %d times for a key that is away", a.asked-asked)
	}
	a.lock(func() { a.keyFault = nil })
	fresh("just after", 1)
	a.pass(time.Minute)
	fresh("back", 2)

	// hsmd was started anew.
	a.lock(func() { a.responder = newKey("P-256") })
	fresh("another key", 3)

	// Nothing is left of the old one, and no new one can be had.
	a.pass(8 * 24 * time.Hour)
	a.lock(func() { a.keyFault = wire.Errorf(wire.Unavailable, "away") })
	asked = a.asked
	for range 5 {
		wantStatus(t, "no certificate", ask(t, r, about(t, i, leaf)), ocsp.TryLater)
	}
	if a.asked != asked+1 {
		t.Errorf("asked %d times for a key that is away", a.asked-asked)
	}
	a.lock(func() { a.keyFault = nil })
	a.pass(5 * time.Second)
	fresh("back again", 4)
}

func TestCertificateEndsWithIssuer(t *testing.T) {
	a := newAuthority(start)
	i := a.issuer(t, "Root", "P-256", 0, 48*time.Hour)
	r := a.open(t)
	leaf := a.leaf(t, i).SerialNumber
	for range 40 {
		wantStatus(t, "of an issuer near its end", ask(t, r, about(t, i, leaf)), ocsp.Successful)
		a.pass(time.Hour)
	}
	if len(a.kept) != 1 || !a.kept[0].NotAfter.Equal(i.Certificate.NotAfter) {
		t.Errorf("%d certificates, the first until %s, the issuer until %s", len(a.kept), a.kept[0].NotAfter, i.Certificate.NotAfter)
	}

	// An issuer that was certified anew has a responder certified under that.
	longer := *a.issuer(t, "Root", "P-256", 0, year)
	a.set(func(v *ocsp.View) { v.Issuers = []*ocsp.Issuer{&longer} })
	parse(t, ask(t, r, about(t, &longer, leaf)), leaf, longer.Certificate)
	if len(a.kept) != 2 {
		t.Errorf("%d certificates, want 2", len(a.kept))
	}
}
