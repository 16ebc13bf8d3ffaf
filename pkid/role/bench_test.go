package role_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/role"
)

// BenchmarkRequest is what a role costs a certificate: read from the state,
// and asked for one name.
func BenchmarkRequest(b *testing.B) {
	stored, err := parseRole(b, strings.Fields("allowed_domains=example.com allow_subdomains=true key_type=ec")).Encode()
	if err != nil {
		b.Fatal(err)
	}
	at, wish := terms(b), &role.Wish{CommonName: "test.example.com"}
	b.ReportAllocs()
	for b.Loop() {
		r, err := role.Decode(stored)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := r.Request(wish, nil, at); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseCSR is what a CSR costs, its signature's check included.
func BenchmarkParseCSR(b *testing.B) {
	text := makeCSR(b, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "test.example.com"}}, csrKey())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := role.ParseCSR(text); err != nil {
			b.Fatal(err)
		}
	}
}
