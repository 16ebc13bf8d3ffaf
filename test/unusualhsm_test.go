package test

import (
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
)

// TestCAOnAnUnusualHSM has everything at once that HSMs differ in: a crypto user
// logs in, each signature wants the PIN, the token hashes and takes nothing else,
// and no public key is beside the private one. A whole CA lives on it.
func TestCAOnAnUnusualHSM(t *testing.T) {
	token := softhsm.New(t)
	token.Tool(t, "--keypairgen", "--key-type", "rsa:2048", "--label", "ca", "--id", "01")
	public := filepath.Join(t.TempDir(), "ca")
	token.Tool(t, "--read-object", "--type", "pubkey", "--label", "ca", "--output-file", public)
	der, err := os.ReadFile(public)
	if err == nil {
		err = os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	faults := faultmodule.New(t, token.Library)
	faults.Set(t, faultmodule.LoginAs(0x80000001), faultmodule.AlwaysAuthenticate(token.PIN), faultmodule.Mechanisms(0x40, 0x41, 0x42),
		faultmodule.HideClass(2), faultmodule.HideAttribute(0x120, 3), faultmodule.HideAttribute(0x129, 3)) // MODULUS, PUBLIC_KEY_INFO
	env := fmt.Sprintf("SOFTHSM2_CONF = %q", token.Conf)
	for name, value := range faults.Env {
		env += fmt.Sprintf("\n    %s = %q", name, value)
	}
	h := daemon.NewHSMD(t, fmt.Sprintf(`
kms_library "pkcs11" {
  name    = "unusual"
  library = %q
  env = {
    %s
  }
}
managed_key "pkcs11" "ca" {
  library     = "unusual"
  token_label = %q
  login       = "crypto_user"
  pin         = %q
  key_label   = "ca"
  mechanism   = 1
  public_key  = "file:%s"
  any_mount   = true
}
`, faults.Library, env, token.Label, token.PIN, public))
	h.Start()
	p := daemon.NewPKID(t, h, "")
	p.Start()

	p.Must(t, "POST", "sys/mounts/pki", map[string]any{"type": "pki"})
	root := parse(t, p.Must(t, "POST", "pki/root/generate/kms", map[string]any{"managed_key_name": "ca", "common_name": "Root", "ttl": "700h"}).String(t, "certificate"))
	p.Must(t, "POST", "pki/roles/web", map[string]any{"allowed_domains": "example.com", "allow_subdomains": true, "key_type": "ec"})
	issued := p.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "www.example.com", "ttl": "24h"})
	if err := parse(t, issued.String(t, "certificate")).CheckSignatureFrom(root); err != nil {
		t.Error(err)
	}
	p.Must(t, "POST", "pki/revoke", map[string]any{"serial_number": issued.String(t, "serial_number")})
	check.CA(t, &daemon.Pair{Token: token, HSMD: h, PKID: p})

	parts := faults.Calls(t, "C_SignUpdate")
	longList(t, p, "pki", root, issued.String(t, "serial_number"))
	if faults.Calls(t, "C_SignUpdate") == parts {
		t.Error("a long CRL was not hashed on the token in parts")
	}
}
