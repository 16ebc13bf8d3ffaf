package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/test/softhsm"
)

// issuerPEM is a CA certificate in PEM.
func issuerPEM(t *testing.T, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestIssuerFiles: files of issuer are read when the configuration is, a fault in
// one is a fault of the line that names it, and another content is another rule.
func TestIssuerFiles(t *testing.T) {
	issuer := filepath.Join(t.TempDir(), "issuer.pem")
	path, _ := file(t, softhsm.New(t), func(s string) string {
		return strings.Replace(s, "allow_generate_key = true", "allow_generate_key = true\n  constraints { issuer = [\"file:"+issuer+"\"] }", 1)
	})
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(issuer, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(want string) {
		t.Helper()
		if code, _, errOut := hsmdRun("check", "-config="+path); code != 1 || !strings.Contains(errOut, ": issuer: ") || !strings.Contains(errOut, want) {
			t.Errorf("check: %d, want %q\n%s", code, want, errOut)
		}
	}
	refused("no such file")
	ca := issuerPEM(t, "CA")
	for content, want := range map[string]string{
		"":               "is not PEM with certificates",
		ca + "something": "is not PEM with certificates",
		strings.ReplaceAll(ca, "CERTIFICATE", "PRIVATE KEY"):             `has "PRIVATE KEY", and not only certificates`,
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n": "malformed",
	} {
		write(content)
		refused(want)
	}
	rules := func(content string) config.Rule {
		t.Helper()
		write(content)
		if code, _, errOut := hsmdRun("check", "-config="+path); code != 0 {
			t.Fatal(errOut)
		}
		cfg, err := config.LoadHSMD(path)
		if err != nil {
			t.Fatal(err)
		}
		return constraintRules(cfg)[0]
	}
	one, again, two := rules(ca), rules(ca), rules(ca+issuerPEM(t, "Other CA"))
	if one != again || one == two || one.Text != two.Text || !strings.Contains(one.Text, "issuer file:"+issuer) {
		t.Errorf("rules %+v, again %+v, with another file %+v", one, again, two)
	}
}
