package test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
)

// TestCertManager sends what cert-manager's Vault issuer sends: the look at
// sys/health, then a signature asked for with nothing but strings, of a root, of
// an intermediate, and for a CA (isCA). What is wrong with a request has to be
// 400: any other status is tried again for ever.
func TestCertManager(t *testing.T) {
	p, csr := hierarchy(t)
	signed := p.PKID.Must(t, "POST", "pki/root/sign-intermediate", map[string]any{"csr": csr, "common_name": "Mid", "ttl": "8760h"})
	set := p.PKID.Must(t, "POST", "pki/intermediate/set-signed", map[string]any{"certificate": signed.String(t, "certificate")})
	mid := set.Data["imported_issuers"].([]any)[0].(string)
	for role, issuer := range map[string]string{"web": "default", "below": mid} {
		p.PKID.Must(t, "POST", "pki/roles/"+role, map[string]any{"allowed_domains": "example.com", "allow_subdomains": true, "key_type": "ec", "issuer_ref": issuer})
	}
	if a := p.PKID.Must(t, "GET", "sys/health", nil); a.Status != http.StatusOK {
		t.Errorf("sys/health: %d", a.Status)
	}
	for path, length := range map[string]int{"pki/sign/web": 2, "pki/sign/below": 3, "pki/root/sign-intermediate": 2, "pki/issuer/" + mid + "/sign-intermediate": 3} {
		chain := certManagerSigns(t, p, path)
		if len(chain) != length || chain[0].IsCA != strings.HasSuffix(path, "sign-intermediate") {
			t.Errorf("%s: %d certificates, CA %v", path, len(chain), chain[0].IsCA)
		}
	}
	for _, role := range []string{"web", "below"} {
		p.PKID.Refused(t, "POST", "pki/sign/"+role, map[string]any{"common_name": "www.example.org", "csr": request(t, "www.example.org"),
			"ttl": "24h0m0s", "exclude_cn_from_sans": "true"}, http.StatusBadRequest, "www.example.org")
	}
	check.CA(t, p)
}

// certManagerSigns gives the chain that cert-manager puts together, from all that
// the answer has in it.
func certManagerSigns(t *testing.T, p *daemon.Pair, path string) []*x509.Certificate {
	t.Helper()
	answer := p.PKID.Must(t, "POST", path, map[string]any{
		"common_name": "www.example.com", "alt_names": "www.example.com", "ip_sans": "", "uri_sans": "",
		"ttl": "24h0m0s", "csr": request(t, "www.example.com"), "exclude_cn_from_sans": "true",
	})
	var secret struct {
		Data struct {
			Certificate  string   `json:"certificate"`
			IssuingCA    string   `json:"issuing_ca"`
			CAChain      []string `json:"ca_chain"` // a string here breaks its decoder
			SerialNumber string   `json:"serial_number"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer.Body, &secret); err != nil {
		t.Fatal(err)
	}
	leaf := parse(t, secret.Data.Certificate)
	if len(leaf.DNSNames) != 1 || leaf.DNSNames[0] != "www.example.com" {
		t.Errorf("%s: names: %v", path, leaf.DNSNames)
	}
	chain := bundle(t, leaf, append(secret.Data.CAChain, secret.Data.IssuingCA, secret.Data.Certificate)...)
	top := chain[len(chain)-1]
	if !bytes.Equal(top.RawIssuer, top.RawSubject) || top.CheckSignatureFrom(top) != nil {
		t.Errorf("%s: the chain ends in %s, which is no root", path, top.Subject)
	}
	roots, above := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(top)
	for _, c := range chain[1:] {
		above.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: above, DNSName: "www.example.com"}); err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return chain
}

// bundle links certificates, given in any order and more than once, from the leaf
// up; each has to have its place in one chain.
func bundle(t *testing.T, leaf *x509.Certificate, texts ...string) []*x509.Certificate {
	t.Helper()
	left := map[string]*x509.Certificate{}
	for _, text := range texts {
		c := parse(t, text)
		left[string(c.Raw)] = c
	}
	chain := []*x509.Certificate{leaf}
	delete(left, string(leaf.Raw))
	for len(left) > 0 {
		var next *x509.Certificate
		for _, c := range left {
			if chain[len(chain)-1].CheckSignatureFrom(c) == nil {
				next = c
			}
		}
		if next == nil {
			t.Fatalf("nothing in the answer certifies %s", chain[len(chain)-1].Subject)
		}
		chain = append(chain, next)
		delete(left, string(next.Raw))
	}
	return chain
}

// TestHealthCheckReads asks for what `vault pki health-check` and Terraform's
// provider read of a mount.
func TestHealthCheckReads(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	serial := p.PKID.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "www.example.com"}).String(t, "serial_number")
	p.PKID.Must(t, "POST", "pki/config/crl", map[string]any{"auto_rebuild": true, "enable_delta": true})
	issuer := p.PKID.Must(t, "LIST", "pki/issuers", nil).Data["keys"].([]any)[0].(string)
	key := p.PKID.Must(t, "LIST", "pki/keys", nil).Data["keys"].([]any)[0].(string)
	for _, path := range []string{
		"sys/mounts", "sys/mounts/pki", "sys/mounts/pki/tune", "sys/internal/ui/mounts/pki", "sys/seal-status", "auth/token/lookup-self",
		"pki/cert/ca", "pki/config/auto-tidy", "pki/config/crl", "pki/config/urls", "pki/config/issuers", "pki/config/keys", "pki/tidy-status",
		"pki/issuer/" + issuer, "pki/issuer/" + issuer + "/json", "pki/issuer/" + issuer + "/pem", "pki/key/" + key, "pki/cert/" + serial,
		"pki/roles/web", "pki/issuer/" + issuer + "/crl", "pki/issuer/" + issuer + "/crl/delta", "pki/ca/pem", "pki/ca_chain",
	} {
		if a := p.PKID.Must(t, "GET", path, nil); a.Status != http.StatusOK || len(a.Body) == 0 {
			t.Errorf("GET %s: status %d, %d octets", path, a.Status, len(a.Body))
		}
	}
	for _, path := range []string{"certs", "issuers", "roles", "keys"} {
		if keys, _ := p.PKID.Must(t, "GET", "pki/"+path+"?list=true", nil).Data["keys"].([]any); len(keys) == 0 {
			t.Errorf("%s: an empty list", path)
		}
	}
}
