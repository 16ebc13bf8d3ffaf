package test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
)

// ca sets up a CA on the pair, in the mount "pki" with the role "web" for
// example.com, its P-256 key defined over the API as "ca" and made on the token.
func ca(t *testing.T, p *daemon.Pair) {
	t.Helper()
	define(t, p, "ca")
	p.PKID.Must(t, "POST", "sys/mounts/pki", map[string]any{"type": "pki", "config": map[string]any{"max_lease_ttl": "87600h"}})
	p.PKID.Must(t, "POST", "pki/root/generate/kms", map[string]any{"managed_key_name": "ca", "common_name": "Root", "ttl": "8760h"})
	p.PKID.Must(t, "POST", "pki/roles/web", map[string]any{"allowed_domains": "example.com", "allow_subdomains": true, "key_type": "ec"})
}

// define defines a P-256 key that any mount may use and that is made when it is
// not there.
func define(t *testing.T, p *daemon.Pair, name string) {
	t.Helper()
	p.PKID.Must(t, "POST", "sys/managed-keys/pkcs11/"+name, definition(p, name))
}

func definition(p *daemon.Pair, label string) map[string]any {
	return map[string]any{"library": "softhsm", "token_label": p.Token.Label, "pin": p.Token.PIN, "key_label": label,
		"mechanism": "0x1041", "curve": "P256", "allow_generate_key": true, "any_mount": true}
}

// request makes a CSR for a name, PEM, with a key of its own.
func request(t testing.TB, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return requestBy(t, key, name)
}

// requestBy is request with a key that the caller has.
func requestBy(t testing.TB, key crypto.Signer, name string) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func parse(t testing.TB, text string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("no PEM: %q", text)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
