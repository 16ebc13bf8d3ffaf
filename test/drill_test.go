package test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
)

// loose is a key without constraints.
const loose = `
managed_key "pkcs11" "issuing" {
  library            = "softhsm"
  token_label        = %q
  pin                = %q
  key_label          = "issuing"
  mechanism          = "0x1041"
  curve              = "P256"
  allow_generate_key = true
}
`

// drill runs hsmd drill, and gives the names of the attempts that got something.
func drill(t *testing.T, h *daemon.HSMD, args ...string) (got []string, code int, out string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(daemon.Bin(t), "hsmd"), append([]string{"drill", "-address=" + h.Socket}, args...)...)
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\S* +(\S+) +GOT`).FindAllStringSubmatch(string(text), -1) {
		got = append(got, m[1])
	}
	return got, cmd.ProcessState.ExitCode(), string(text)
}

// TestDrill has the attacker's client try a key whose rules leave little, and then
// one that has no rules: it gets what hsmd check -exposure says of each, and never
// what no rule could allow.
func TestDrill(t *testing.T) {
	token := softhsm.New(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+fmt.Sprintf(strict, token.Label, token.PIN))
	h.Level = "info"
	h.Start()
	signerOf(t, wireClient(t, h.Socket), "issuing")

	got, code, out := drill(t, h, "-dns=www.example.com", "-admit=crl")
	if want := []string{"plain", "crl"}; code != 0 || !slices.Equal(got, want) {
		t.Errorf("of a strict key: exit code %d, got %v, want %v\n%s", code, got, want, out)
	}
	for attempt, rule := range map[string]string{
		"ca": "ca false", "ten-years": "max_ttl 24h0m0s", "backdated": "max_backdate 1h0m0s", "other-name-beside": "permitted_dns_domains", "client-auth": "extended_key_usages",
		"crl-ten-years": "max_crl_validity", "crl-unrevokes": "leaves out serial number", "serial-twice": "serial", "digest": "digest", "ocsp-good-never-issued": "good",
	} {
		if !regexp.MustCompile(`(?m)^issuing +` + attempt + ` +refused .*` + rule).MatchString(out) {
			t.Errorf("%s is not refused by %q:\n%s", attempt, rule, out)
		}
	}
	h.Write(t, daemon.Libraries(token.Store)+daemon.WireKeys+fmt.Sprintf(loose, token.Label, token.PIN))
	h.Restart()
	got, code, out = drill(t, h)
	want := []string{"plain", "ca", "key-cert-sign", "crl-sign", "ten-years", "backdated", "other-name", "other-name-beside", "wide-wildcard", "other-common-name",
		"ip-address", "email-address", "uri", "no-usage", "any-usage", "client-auth", "code-signing", "ocsp-signing", "unknown-critical", "request", "crl", "crl-ten-years",
		"define-key", "forget-key"}
	if code != 1 || !slices.Equal(got, want) {
		t.Errorf("of a key without rules: exit code %d, got %v, want %v\n%s", code, got, want, out)
	}
	verifyAudit(t, h)
}
