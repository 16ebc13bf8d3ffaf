package test

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
)

// consulTemplate gives the program that `make test` has put aside, or builds
// it in the version that the Makefile names.
func consulTemplate(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("HSMPKI_CONSUL_TEMPLATE"); path != "" {
		return path
	}
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(makefile), "CONSUL_TEMPLATE := ")
	version, _, ok := strings.Cut(after, "\n")
	if !ok {
		t.Fatal("the Makefile names no version of consul-template")
	}
	dir := t.TempDir()
	install := exec.Command("go", "install", "github.com/hashicorp/consul-template@"+version)
	install.Env = append(os.Environ(), "GOBIN="+dir)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "consul-template")
}

// TestConsulTemplate has consul-template write a certificate, its key and its
// CA's chain, once, over the Unix socket: of a root and of an intermediate.
func TestConsulTemplate(t *testing.T) {
	program := consulTemplate(t)
	p, csr := hierarchy(t)
	signed := p.PKID.Must(t, "POST", "pki/root/sign-intermediate", map[string]any{"csr": csr, "common_name": "Mid", "ttl": "8760h"})
	set := p.PKID.Must(t, "POST", "pki/intermediate/set-signed", map[string]any{"certificate": signed.String(t, "certificate")})
	for role, issuer := range map[string]any{"web": "default", "below": set.Data["imported_issuers"].([]any)[0]} {
		p.PKID.Must(t, "POST", "pki/roles/"+role, map[string]any{"allowed_domains": "example.com", "allow_subdomains": true, "key_type": "ec", "issuer_ref": issuer})
	}
	for role, length := range map[string]int{"web": 2, "below": 3} {
		text := runConsulTemplate(t, program, p.PKID, fmt.Sprintf(`{{ with pkiCert "pki/issue/%s" "common_name=ct.example.com" "ttl=24h" }}{{ .Cert }}{{ range .CAChain }}{{ . }}
{{ end }}{{ .Key }}{{ end }}`, role))
		pair, err := tls.X509KeyPair(text, text)
		if err != nil {
			t.Fatalf("%s: %v in\n%s", role, err, text)
		}
		if len(pair.Certificate) != length {
			t.Errorf("%s: %d certificates, want %d", role, len(pair.Certificate), length)
		}
		if err := pair.Leaf.VerifyHostname("ct.example.com"); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
	check.CA(t, p)
}

// runConsulTemplate gives what it makes of a template.
func runConsulTemplate(t *testing.T, program string, pkid *daemon.PKID, template string) []byte {
	t.Helper()
	dir := t.TempDir()
	result, file := filepath.Join(dir, "web.pem"), filepath.Join(dir, "ct.hcl")
	config := fmt.Sprintf(`
vault {
  address      = %q
  renew_token  = false
  unwrap_token = false
  retry { enabled = false }
}
template {
  contents    = %q
  destination = %q
}
`, pkid.Addr(), template, result)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.Command(program, "-once", "-config", file)
	run.Env = append(os.Environ(), pkid.Env()...)
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("consul-template: %v\n%s", err, out)
	}
	text, err := os.ReadFile(result)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
