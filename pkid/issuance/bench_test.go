package issuance_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"io"
	"testing"
)

// BenchmarkPrepare is the work of a certificate before the key is asked.
func BenchmarkPrepare(b *testing.B) {
	issuer, req := makeIssuer(b, "P-256"), leafRequest()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := issuer.Prepare(req, now); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIssue is a whole certificate with a P-256 key in memory, and
// BenchmarkX509 what x509 takes for the same.
func BenchmarkIssue(b *testing.B) {
	issuer, req, s := makeIssuer(b, "P-256"), leafRequest(), signer("P-256")
	b.ReportAllocs()
	for b.Loop() {
		prepared, err := issuer.Prepare(req, now)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := issuer.Issue(prepared, s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkX509(b *testing.B) {
	issuer, req := makeIssuer(b, "P-256"), leafRequest()
	t := template(req, issue(b, issuer, signer("P-256"), req))
	b.ReportAllocs()
	for b.Loop() {
		der, err := x509.CreateCertificate(rand.Reader, t, issuer.Certificate(), req.PublicKey, caKeys()["P-256"])
		if err != nil {
			b.Fatal(err)
		}
		if _, err := x509.ParseCertificate(der); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSignVerify is the part of both that is the key's.
func BenchmarkSignVerify(b *testing.B) {
	issuer, s := makeIssuer(b, "P-256"), signer("P-256")
	message := make([]byte, 700)
	for b.Loop() {
		signature, err := s.SignMessage(io.Reader(nil), message, crypto.SHA256)
		if err != nil {
			b.Fatal(err)
		}
		if err := issuer.Certificate().CheckSignature(x509.ECDSAWithSHA256, message, signature); err != nil {
			b.Fatal(err)
		}
	}
}
