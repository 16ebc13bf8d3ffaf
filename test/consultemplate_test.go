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
// CA, once, over the Unix socket.
func TestConsulTemplate(t *testing.T) {
	program := consulTemplate(t)
	p := daemon.Start(t)
	ca(t, p)
	dir := t.TempDir()
	template := `{{ with pkiCert "pki/issue/web" "common_name=ct.example.com" "ttl=24h" }}{{ .Cert }}{{ .CA }}{{ .Key }}{{ end }}`
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
`, p.PKID.Addr(), template, filepath.Join(dir, "web.pem"))
	file := filepath.Join(dir, "ct.hcl")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.Command(program, "-once", "-config", file)
	run.Env = append(os.Environ(), p.PKID.Env()...)
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("consul-template: %v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "web.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if len(pair.Certificate) != 2 {
		t.Errorf("%d certificates, want the leaf and the CA", len(pair.Certificate))
	}
	if err := pair.Leaf.VerifyHostname("ct.example.com"); err != nil {
		t.Error(err)
	}
	check.CA(t, p)
}
