package ca_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// selfSigned makes a certificate in PEM.
func selfSigned(t testing.TB, n int, change func(*x509.Certificate)) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(int64(n)), Subject: pkix.Name{CommonName: fmt.Sprint("CA ", n)},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: true, BasicConstraintsValid: true}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func block(kind string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: make([]byte, 80)}))
}

func TestBundle(t *testing.T) {
	one, two := selfSigned(t, 1, nil), selfSigned(t, 2, nil)
	var many strings.Builder
	for n := range 201 {
		many.WriteString(selfSigned(t, n+1, nil))
	}
	for _, c := range []struct {
		name, text  string
		certs, keys int
		refused     string
	}{
		{"two", one + two, 2, 0, ""},
		{"one twice", one + one, 1, 0, ""},
		{"joined without newlines", strings.TrimSpace(one) + strings.TrimSpace(two), 2, 0, ""},
		{"with text between", "# the root\n" + one + "# and another\r\n" + two, 2, 0, ""},
		{"with CRL, parameters and keys", block("X509 CRL") + block("EC PARAMETERS") + block("EC PRIVATE KEY") + one + block("ENCRYPTED PRIVATE KEY"), 1, 2, ""},
		{"nothing", "", 0, 0, "too short"},
		{"a path", "/etc/ssl/certs/root.pem", 0, 0, "too short"},
		{"garbage", strings.Repeat("garbage ", 20), 0, 0, "no PEM block"},
		{"cut", one + two[:len(two)/2], 0, 0, "2 PEM blocks of which 1 do not decode"},
		{"no certificate inside", block("CERTIFICATE"), 0, 0, "PEM block 1: unable to parse certificate"},
		{"another kind", one + block("PUBLIC KEY"), 0, 0, `PEM block 2 is a "PUBLIC KEY"`},
		{"no CA", selfSigned(t, 1, func(c *x509.Certificate) { c.IsCA = false }), 0, 0, "Refusing to import non-CA certificate"},
		{"no constraints", selfSigned(t, 1, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = false, false }), 0, 0, "non-CA"},
		{"no subject", selfSigned(t, 1, func(c *x509.Certificate) { c.Subject = pkix.Name{} }), 0, 0, "without a subject"},
		{"too many", many.String(), 0, 0, "more than 200 certificates"},
		{"too long", one + strings.Repeat("\n", 1<<20), 0, 0, "octets"},
	} {
		certs, keys, err := ca.ParseBundle(c.text)
		if c.refused != "" {
			if refused, ok := err.(*vaultapi.Error); !ok || refused.Status != 400 || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v, want a refusal with %q", c.name, err, c.refused)
			}
			continue
		}
		if err != nil || len(certs) != c.certs || keys != c.keys {
			t.Errorf("%s: %d certificates and %d keys, %v", c.name, len(certs), keys, err)
		}
	}
}

func TestParseCertificate(t *testing.T) {
	one := selfSigned(t, 1, nil)
	if _, err := ca.ParseCertificate("\n" + one + "\n"); err != nil {
		t.Error(err)
	}
	for text, refused := range map[string]string{
		"": "PEM-decoded", one + one: "after the first", one + "x": "after the first", block("CERTIFICATE"): "error parsing",
		block("PRIVATE KEY"): "PRIVATE KEY", strings.Repeat("x", 1<<17): "longer than",
	} {
		if _, err := ca.ParseCertificate(text); err == nil || !strings.Contains(err.Error(), refused) {
			t.Errorf("%.60q: %v, want a refusal with %q", text, err, refused)
		}
	}
}

// FuzzBundle: whatever comes, each certificate is a CA and is there once.
func FuzzBundle(f *testing.F) {
	one := selfSigned(f, 1, nil)
	f.Add(one + one)
	f.Add(one + block("RSA PRIVATE KEY") + block("X509 CRL"))
	f.Add(strings.Repeat("-----BEGIN ", 10))
	f.Fuzz(func(t *testing.T, text string) {
		certs, _, err := ca.ParseBundle(text)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, c := range certs {
			if !c.IsCA || seen[string(c.Raw)] {
				t.Errorf("%s: CA %v, or twice", c.Subject, c.IsCA)
			}
			seen[string(c.Raw)] = true
		}
	})
}
