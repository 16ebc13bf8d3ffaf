package constraint_test

import (
	"crypto/x509"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/constraint"
)

// BenchmarkCheck holds a server's certificate against rules of each kind.
func BenchmarkCheck(b *testing.B) {
	s := set(b, `sign = ["certificate", "crl", "ocsp"]
ca                    = false
max_ttl               = "2h"
max_backdate          = "1h"
permitted_dns_domains = ["example.org", "example.net", "example.com"]
excluded_dns_domains  = ["secret.example.com"]
public_key_types      = ["RSA-3072", "P256"]
extended_key_usages   = ["server_auth", "client_auth"]
permitted_extensions  = ["2.5.29.31", "1.3.6.1.5.5.7.1.1"]
hours                 = ["Mon-Fri 08:00-18:00"]`)
	m := certificate(b, func(c *x509.Certificate) {
		c.Subject.CommonName, c.DNSNames = "www.example.com", []string{"www.example.com", "example.com"}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Check(m, constraint.Facts{Now: now}); err != nil {
			b.Fatal(err)
		}
	}
}
