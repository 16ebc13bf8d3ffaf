package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/token"
)

// TestCAOnOtherTokens runs a CA, with its revocations and a killed worker, on
// each token that is not SoftHSM.
func TestCAOnOtherTokens(t *testing.T) {
	for name, set := range map[string]func(t *testing.T) (k *token.Token, words string){
		"NSS": func(t *testing.T) (*token.Token, string) {
			return token.NSS(t, "pass-4e77"), `mechanism = "0x1041"` + "\n" + `curve = "P384"`
		},
		"TPM": func(t *testing.T) (*token.Token, string) {
			return token.NewTPM(t).Add(t), `mechanism = "0x1"` + "\n" + `key_bits = 2048`
		},
		"OpenCryptoki": func(t *testing.T) (*token.Token, string) {
			return token.NewOpenCryptoki(t).Token, `mechanism = "0xd"` + "\n" + `key_bits = 3072`
		},
	} {
		t.Run(name, func(t *testing.T) {
			k, words := set(t)
			pss := strings.Contains(words, "0xd")
			h := daemon.NewHSMD(t, onToken(k, words))
			h.Via(k.Through...)
			h.Start()
			p := daemon.NewPKID(t, h, "")
			p.Start()
			p.Must(t, "POST", "sys/mounts/pki", map[string]any{"type": "pki"})
			p.Must(t, "POST", "pki/root/generate/kms", map[string]any{"managed_key_name": "ca", "common_name": "Root", "ttl": "700h", "use_pss": pss})
			p.Must(t, "POST", "pki/roles/web", map[string]any{"allow_any_name": true, "key_type": "ec", "use_pss": pss, "ttl": "24h"})
			issue := func() string {
				return p.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "www.example.com"}).String(t, "serial_number")
			}
			p.Must(t, "POST", "pki/revoke", map[string]any{"serial_number": issue()})
			check.Mount(t, p, "pki/", map[string]string{})
			for _, pid := range h.WorkerPIDs() {
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			p.Must(t, "POST", "pki/revoke", map[string]any{"serial_number": issue()})
			check.Mount(t, p, "pki/", map[string]string{})
		})
	}
}

// onToken is hsmd's file for a token and the key "ca" on it.
func onToken(k *token.Token, words string) string {
	var env []string
	for _, set := range k.Env {
		name, value, _ := strings.Cut(set, "=")
		env = append(env, fmt.Sprintf("%s = %q", name, value))
	}
	return fmt.Sprintf(`
kms_library "pkcs11" {
  name      = "library"
  library   = %q
  init_args = %q
  env       = { %s }
}
managed_key "pkcs11" "ca" {
  library     = "library"
  token_label = %q
  pin         = %q
  key_label   = "ca"
  allow_generate_key = true
  any_mount          = true
  %s
}
`, k.Library, k.InitArgs, strings.Join(env, ", "), k.Label, k.PIN, words)
}
