package issuance_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

// sub makes a CA certificate below parent, whose key is parentKind's, for the
// key of kind. x509 writes it, so that it may have faults that we would not make.
func sub(t *testing.T, name, kind string, parent *x509.Certificate, parentKind string, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	id, err := issuance.KeyID(caKeys()[kind].Public())
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, SubjectKeyId: id,
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(5, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: -1, KeyUsage: x509.KeyUsageCertSign,
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, caKeys()[kind].Public(), caKeys()[parentKind])
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPaths: whatever forbids a certificate anywhere above the issuer is found
// before its key is asked; x509 and OpenSSL agree.
func TestPaths(t *testing.T) {
	constrain := func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.com"}
	}
	length := func(n int) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = n, n == 0 }
	}
	for name, c := range map[string]struct {
		root         func(*issuance.CARequest)
		upper, lower func(*x509.Certificate)
		dns, reason  string
	}{
		"nothing":                    {dns: "a.example.org"},
		"the root permits":           {root: func(r *issuance.CARequest) { r.NameConstraints.PermittedDNSDomains = []string{"example.com"} }, dns: "a.example.com"},
		"the root does not permit":   {root: func(r *issuance.CARequest) { r.NameConstraints.PermittedDNSDomains = []string{"example.com"} }, dns: "a.example.org", reason: `the name constraints of the CA certificate "CN=Test Root,O=hsmpki": the DNS name "a.example.org" is not permitted: names of its kind must be within the DNS name "example.com"`},
		"the middle does not permit": {upper: constrain, dns: "a.example.org", reason: `"CN=upper": the DNS name "a.example.org" is not permitted`},
		"the issuer does not permit": {lower: constrain, dns: "a.example.org", reason: `"CN=lower": the DNS name "a.example.org" is not permitted`},
		"the root excludes":          {root: func(r *issuance.CARequest) { r.NameConstraints.ExcludedDNSDomains = []string{"secret.test"} }, dns: "a.secret.test", reason: `the DNS name "a.secret.test" is excluded by the DNS name "secret.test"`},
		"both must permit": {root: func(r *issuance.CARequest) { r.NameConstraints.PermittedDNSDomains = []string{"com"} }, lower: constrain,
			dns: "a.example.com"},
		"the issuer itself is not permitted": {upper: constrain, lower: func(c *x509.Certificate) { c.DNSNames = []string{"ca.example.org"} },
			dns: "a.example.com", reason: `the DNS name "ca.example.org" is not permitted: names of its kind must be within the DNS name "example.com", which the CA certificate "CN=lower" has`},
		"the root's path is long enough":   {root: func(r *issuance.CARequest) { r.MaxPathLength = 2 }, upper: length(1), lower: length(0), dns: "a.test"},
		"the root's path is too short":     {root: func(r *issuance.CARequest) { r.MaxPathLength = 1 }, dns: "a.test", reason: `the path length constraint of the CA certificate "CN=Test Root,O=hsmpki" allows 1 CA certificates below it, and there would be 2`},
		"the middle allows no CA below it": {upper: length(0), dns: "a.test", reason: `"CN=upper" allows 0 CA certificates below it, and there would be 1`},
	} {
		t.Run(name, func(t *testing.T) {
			root := makeRoot(t, "P-256", c.root)
			upper := sub(t, "upper", "P-384", root, "P-256", c.upper)
			lower := sub(t, "lower", "P-521", upper, "P-384", c.lower)
			issuer, err := issuance.NewIssuer(lower, urls, root, upper)
			if err != nil {
				t.Fatal(err)
			}
			req := leafRequest()
			req.Subject, req.URIs, req.EmailAddresses, req.IPAddresses, req.DNSNames = pkix.Name{CommonName: c.dns}, nil, nil, nil, []string{c.dns}
			_, err = issuer.Prepare(req, now)
			var refused *issuance.Refusal
			switch {
			case c.reason == "" && err != nil:
				t.Error(err)
			case c.reason != "" && (!errors.As(err, &refused) || !strings.Contains(err.Error(), c.reason)):
				t.Errorf("got %v, want a refusal with %q", err, c.reason)
			}
			// An issuer that knows of nothing above it issues, so that others can judge.
			alone, err := issuance.NewIssuer(unconstrained(lower), urls)
			if err != nil {
				t.Fatal(err)
			}
			leaf := issue(t, alone, signer("P-521"), req)
			if theirs := verify(t, leaf, root, upper, lower); (theirs == nil) != (c.reason == "") {
				t.Errorf("x509 and OpenSSL: %v", theirs)
			}
		})
	}
}

// unconstrained is the issuer as it would be without name constraints.
func unconstrained(c *x509.Certificate) *x509.Certificate {
	free := *c
	free.Extensions = nil
	return &free
}

func verify(t *testing.T, leaf, root *x509.Certificate, between ...*x509.Certificate) error {
	t.Helper()
	roots, pool := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root)
	args := []string{"verify", "-x509_strict", "-attime", fmt.Sprint(now.Add(time.Minute).Unix()), "-CAfile", writePEM(t, "root.pem", "CERTIFICATE", root.Raw)}
	for _, c := range between {
		pool.AddCert(c)
		args = append(args, "-untrusted", writePEM(t, "ca.pem", "CERTIFICATE", c.Raw))
	}
	_, x509Error := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: pool, CurrentTime: now})
	out, opensslError := exec.Command("openssl", append(args, writePEM(t, "leaf.pem", "CERTIFICATE", leaf.Raw))...).CombinedOutput()
	if (x509Error == nil) != (opensslError == nil) {
		t.Errorf("x509: %v; openssl: %v %s", x509Error, opensslError, out)
	}
	return x509Error
}

// TestCrossCertified: one good path is enough, and a loop of CAs ends.
func TestCrossCertified(t *testing.T) {
	strict := makeRoot(t, "P-256", func(r *issuance.CARequest) {
		r.Subject.CommonName, r.NameConstraints.PermittedDNSDomains = "strict", []string{"example.com"}
	})
	other := makeRoot(t, "RSA", func(r *issuance.CARequest) {
		r.Subject.CommonName, r.NameConstraints.ExcludedIPRanges = "other", []*net.IPNet{cidr("0.0.0.0/0")}
	})
	byStrict := sub(t, "issuer", "P-384", strict, "P-256", nil)
	byOther := sub(t, "issuer", "P-384", other, "RSA", nil)
	named := func(c *x509.Certificate) { c.Subject.Organization = []string{"hsmpki"} }
	crossed := sub(t, "strict", "P-256", other, "RSA", named)   // strict again, certified by other
	looped := sub(t, "other", "RSA", strict, "P-256", named)    // and the other way round
	rolled := sub(t, "issuer", "P-521", byStrict, "P-384", nil) // the same CA with a new key
	ask := func(issuer *issuance.Issuer, dns string, ips ...net.IP) error {
		req := leafRequest()
		req.Subject, req.URIs, req.EmailAddresses, req.IPAddresses, req.DNSNames = pkix.Name{}, nil, nil, ips, []string{dns}
		_, err := issuer.Prepare(req, now)
		return err
	}
	for _, c := range []struct {
		name  string
		cert  *x509.Certificate
		above []*x509.Certificate
		dns   string
		ok    bool
	}{
		{"nobody is known", byStrict, nil, "a.example.org", true},
		{"strangers only", byStrict, []*x509.Certificate{other, byOther}, "a.example.org", true},
		{"strict alone", byStrict, []*x509.Certificate{strict}, "a.example.org", false},
		{"strict, crossed by a CA without constraints", byStrict, []*x509.Certificate{strict, crossed, other}, "a.example.org", true},
		{"a loop", byStrict, []*x509.Certificate{crossed, looped, strict, other, byStrict}, "a.example.org", true},
		{"a loop without an end", byStrict, []*x509.Certificate{crossed, looped}, "a.example.org", true},
		{"a new key", rolled, []*x509.Certificate{byStrict, strict}, "a.example.org", false},
	} {
		issuer, err := issuance.NewIssuer(c.cert, urls, c.above...)
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(issuer, c.dns); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := ask(issuer, "a.example.com", net.ParseIP("10.0.0.1")); err != nil {
			t.Errorf("%s: permitted by strict, and %v", c.name, err)
		}
	}
}

// TestIssuerValidity: an issuer that is not valid now issues nothing.
func TestIssuerValidity(t *testing.T) {
	issuer := makeIssuer(t, "P-256")
	for name, c := range map[string]struct {
		at     time.Time
		reason string
	}{
		"expired":       {now.AddDate(11, 0, 0), `the issuer "CN=Test Root,O=hsmpki" cannot issue: its certificate expired at 2036-06-01T12:00:00Z`},
		"not yet valid": {now.Add(-time.Hour), "its certificate is not valid before 2026-06-01T11:59:30Z"},
	} {
		req := leafRequest()
		req.NotBefore, req.NotAfter = c.at.Add(-time.Minute), c.at.Add(time.Hour)
		ca := intermediateRequest("RSA", "Intermediate")
		ca.NotBefore, ca.NotAfter = req.NotBefore, req.NotAfter
		fresh := *makeRoot(t, "RSA", func(r *issuance.CARequest) { r.Subject.CommonName = "New Root" })
		fresh.NotBefore, fresh.NotAfter = req.NotBefore, req.NotAfter
		for kind, prepare := range map[string]func() (*issuance.Prepared, error){
			"leaf":        func() (*issuance.Prepared, error) { return issuer.Prepare(req, c.at) },
			"CA":          func() (*issuance.Prepared, error) { return issuer.PrepareCA(ca, c.at) },
			"self-issued": func() (*issuance.Prepared, error) { return issuer.PrepareSelfIssued(&fresh, false, c.at) },
		} {
			_, err := prepare()
			var refused *issuance.Refusal
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("%s, %s: got %v, want a refusal with %q", name, kind, err, c.reason)
			}
		}
	}
}
