package issuance_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

func cidr(text string) *net.IPNet {
	_, r, err := net.ParseCIDR(text)
	if err != nil {
		panic(err)
	}
	return r
}

// constrained lists one constraint of each kind.
var constrained = issuance.NameConstraints{
	PermittedDNSDomains: []string{"example.com"}, ExcludedDNSDomains: []string{"secret.example.com"},
	PermittedIPRanges: []*net.IPNet{cidr("10.0.0.0/8")}, ExcludedIPRanges: []*net.IPNet{cidr("2001:db8::/32")},
	PermittedEmailAddresses: []string{"example.com"}, ExcludedEmailAddresses: []string{"root@example.com"},
	PermittedURIDomains: []string{"example.com"}, ExcludedURIDomains: []string{"secret.example.com"},
}

func TestRoot(t *testing.T) {
	for kind := range caKeys() {
		for _, length := range []int{-1, 0, 2} {
			t.Run(fmt.Sprint(kind, length), func(t *testing.T) {
				c := makeRoot(t, kind, func(r *issuance.CARequest) {
					r.MaxPathLength, r.URLs, r.NameConstraints = length, urls, constrained
					if length == 2 {
						r.KeyUsage = x509.KeyUsageDigitalSignature
					}
				})
				if !c.IsCA || c.MaxPathLen != length || c.MaxPathLenZero != (length == 0) {
					t.Errorf("CA %v, path length %d", c.IsCA, c.MaxPathLen)
				}
				want := x509.KeyUsageCertSign | x509.KeyUsageCRLSign
				if length == 2 {
					want |= x509.KeyUsageDigitalSignature
				}
				if c.KeyUsage != want {
					t.Errorf("key usage %b, want %b", c.KeyUsage, want)
				}
				if len(c.SubjectKeyId) != 20 || !bytes.Equal(c.AuthorityKeyId, c.SubjectKeyId) {
					t.Errorf("authority key identifier %x, subject key identifier %x", c.AuthorityKeyId, c.SubjectKeyId)
				}
				if !c.PermittedDNSDomainsCritical || len(c.PermittedIPRanges) != 1 || c.ExcludedEmailAddresses[0] != "root@example.com" {
					t.Error("name constraints are not as asked, or not critical")
				}
				if err := c.CheckSignatureFrom(c); err != nil {
					t.Error(err)
				}
				if _, err := issuance.NewIssuer(c, urls); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestRootSameBytesAsX509 has x509 write the same root.
func TestRootSameBytesAsX509(t *testing.T) {
	c := makeRoot(t, "Ed25519", func(r *issuance.CARequest) {
		r.MaxPathLength, r.URLs, r.NameConstraints = 0, urls, constrained
		r.DNSNames = []string{"root.example.com"}
		r.URLs.DeltaCRLDistributionPoints = nil
	})
	n := constrained
	req := rootRequest("Ed25519")
	der, err := x509.CreateCertificate(nil, &x509.Certificate{
		SerialNumber: c.SerialNumber, Subject: req.Subject, NotBefore: req.NotBefore, NotAfter: req.NotAfter,
		KeyUsage: c.KeyUsage, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		SubjectKeyId: c.SubjectKeyId, AuthorityKeyId: c.SubjectKeyId, DNSNames: c.DNSNames,
		OCSPServer: urls.OCSPServers, IssuingCertificateURL: urls.IssuingCertificates, CRLDistributionPoints: urls.CRLDistributionPoints,
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         n.PermittedDNSDomains, ExcludedDNSDomains: n.ExcludedDNSDomains,
		PermittedIPRanges: n.PermittedIPRanges, ExcludedIPRanges: n.ExcludedIPRanges,
		PermittedEmailAddresses: n.PermittedEmailAddresses, ExcludedEmailAddresses: n.ExcludedEmailAddresses,
		PermittedURIDomains: n.PermittedURIDomains, ExcludedURIDomains: n.ExcludedURIDomains,
	}, c, req.PublicKey, caKeys()["Ed25519"])
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(der, c.Raw) {
		t.Errorf("x509 writes\n%x\nwe write\n%x", der, c.Raw)
	}
}

func TestPrepareRootRefuses(t *testing.T) {
	for name, change := range map[string]func(*issuance.CARequest){
		"no subject":           func(r *issuance.CARequest) { r.Subject = pkix.Name{} },
		"path length":          func(r *issuance.CARequest) { r.MaxPathLength = -2 },
		"ended":                func(r *issuance.CARequest) { r.NotAfter = r.NotBefore.Add(-time.Second) },
		"hash":                 func(r *issuance.CARequest) { r.SignatureBits = 160 },
		"constraint not ASCII": func(r *issuance.CARequest) { r.NameConstraints.PermittedDNSDomains = []string{"bücher.example"} },
		"URL not ASCII":        func(r *issuance.CARequest) { r.URLs.OCSPServers = []string{"http://bücher.example"} },
	} {
		req := rootRequest("RSA")
		change(req)
		_, err := issuance.PrepareRoot(req, now)
		var refused *issuance.Refusal
		if !errors.As(err, &refused) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
}

// TestNameConstraints: what x509 would not accept from this issuer is refused
// before its key is asked.
func TestNameConstraints(t *testing.T) {
	root := makeRoot(t, "P-256", func(r *issuance.CARequest) { r.NameConstraints = constrained })
	issuer, err := issuance.NewIssuer(root, urls)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		allowed bool
		change  func(*issuance.Request)
	}{
		{true, func(r *issuance.Request) { r.DNSNames = []string{"a.example.com", "example.com"} }},
		{false, func(r *issuance.Request) { r.DNSNames = []string{"a.example.com", "example.org"} }},
		{false, func(r *issuance.Request) { r.DNSNames = []string{"a.secret.example.com"} }},
		{true, func(r *issuance.Request) { r.IPAddresses = []net.IP{net.ParseIP("10.1.2.3")} }},
		{false, func(r *issuance.Request) { r.IPAddresses = []net.IP{net.ParseIP("11.1.2.3")} }},
		{false, func(r *issuance.Request) { r.IPAddresses = []net.IP{net.ParseIP("2001:db8::1")} }},
		{true, func(r *issuance.Request) { r.EmailAddresses = []string{"user@example.com"} }},
		{false, func(r *issuance.Request) { r.EmailAddresses = []string{"root@example.com"} }},
		{false, func(r *issuance.Request) { r.EmailAddresses = []string{"user@example.org"} }},
	} {
		req := leafRequest()
		req.DNSNames, req.EmailAddresses, req.IPAddresses, req.URIs = []string{"x.example.com"}, nil, nil, nil
		c.change(req)
		prepared, err := issuer.Prepare(req, now)
		var refused *issuance.Refusal
		if allowed := err == nil; allowed != c.allowed || !allowed && !errors.As(err, &refused) {
			t.Errorf("%v %v %v: %v", req.DNSNames, req.EmailAddresses, req.IPAddresses, err)
		}
		if err != nil {
			continue
		}
		_, cert, err := issuer.Issue(prepared, signer("P-256"))
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(root)
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now}); err != nil {
			t.Errorf("issued, and a client refuses it: %v", err)
		}
	}
}
