package faultmodule_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
)

// TestFaults drives the module with OpenSC's tool, which knows nothing of us.
func TestFaults(t *testing.T) {
	token := softhsm.New(t)
	token.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "key", "--id", "01")
	m := faultmodule.New(t, token.Library)
	message := t.TempDir() + "/message"
	if err := os.WriteFile(message, make([]byte, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	tool := func(args ...string) (string, error) {
		cmd := exec.Command("pkcs11-tool", append([]string{"--module", m.Library, "--token-label", token.Label}, args...)...)
		cmd.Env = append(append(os.Environ(), token.Env()...), m.EnvList()...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	login := []string{"--login", "--pin", token.PIN}
	sign := append([]string{"--sign", "-m", "ECDSA", "--id", "01", "-i", message, "-o", message + ".signature"}, login...)
	list := append([]string{"--list-objects"}, login...)

	for _, c := range []struct {
		name   string
		faults []faultmodule.Fault
		args   []string
		fails  bool
		says   string
		not    string
	}{
		{"nothing", nil, sign, false, "", "CKR"},
		{"return", []faultmodule.Fault{faultmodule.Return("C_SignInit", 0x30)}, sign, true, "CKR_DEVICE_ERROR", ""},
		{"a vendor's code", []faultmodule.Fault{faultmodule.Return("C_SignInit", 0x80000384)}, sign, true, "0x80000384", ""},
		{"another function's", []faultmodule.Fault{faultmodule.Return("C_Decrypt", 0x30)}, sign, false, "", "CKR"},
		{"a later call's", []faultmodule.Fault{faultmodule.Return("C_Login", 0x30).Nth(2)}, sign, false, "", "CKR"},
		{"any function", []faultmodule.Fault{faultmodule.Return(faultmodule.Any, 0x30)}, sign, true, "CKR_DEVICE_ERROR", ""},
		{"lost answer", []faultmodule.Fault{faultmodule.Lose("C_Login", 0x30)}, list, true, "CKR_DEVICE_ERROR", ""},
		{"crash", []faultmodule.Fault{faultmodule.Crash("C_Sign")}, sign, true, "", ""},
		{"sessions", []faultmodule.Fault{faultmodule.Sessions(0)}, list, true, "CKR_SESSION_COUNT", ""},
		{"sessions closed", []faultmodule.Fault{faultmodule.CloseSessions("C_Sign")}, sign, true, "CKR_", ""},
		{"logged out", []faultmodule.Fault{faultmodule.LogOut("C_FindObjectsInit")}, sign, true, "", ""},
		{"flags", []faultmodule.Fault{faultmodule.Flags(0x40000, 0x4)}, []string{"-L"}, false, "user PIN locked", "login required"},
		{"mechanisms", []faultmodule.Fault{faultmodule.Mechanisms(0x1, 0x1040)}, []string{"-M"}, false, "RSA-PKCS", "SHA256-RSA"},
		{"hidden class", []faultmodule.Fault{faultmodule.HideClass(2)}, list, false, "Private Key Object", "Public Key Object"},
		{"attribute", []faultmodule.Fault{faultmodule.Attribute(0x3, faultmodule.AnyClass, []byte("other")...)}, list, false, "other", "label:      key"},
		{"hidden attribute", []faultmodule.Fault{faultmodule.HideAttribute(0x3, 2)}, list, false, "label:      key", ""},
		{"raw point", []faultmodule.Fault{faultmodule.ECPoint("raw")}, list, false, "EC_POINT:   04", "EC_POINT:   0441"},
		{"bit string", []faultmodule.Fault{faultmodule.ECPoint("bits")}, list, false, "EC_POINT:   03420004", ""},
		{"always authenticate", []faultmodule.Fault{faultmodule.AlwaysAuthenticate("other")}, list, false, "always authenticate", ""},
		{"keypad", []faultmodule.Fault{faultmodule.ProtectedPIN(token.PIN)}, list, true, "CKR_ARGUMENTS_BAD", ""},
		{"crypto user", []faultmodule.Fault{faultmodule.LoginAs(0x80000001)}, list, true, "CKR_USER_TYPE_INVALID", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m.Set(t, c.faults...)
			out, err := tool(c.args...)
			if (err != nil) != c.fails || !strings.Contains(out, c.says) || c.not != "" && strings.Contains(out, c.not) {
				t.Errorf("%v, want an error: %t, %q and not %q in\n%s", err, c.fails, c.says, c.not, out)
			}
		})
	}
}

// TestHangEndsWithTheFault: and meanwhile the call was counted.
func TestHangEndsWithTheFault(t *testing.T) {
	token := softhsm.New(t)
	m := faultmodule.New(t, token.Library)
	m.Set(t, faultmodule.Hang("C_Initialize"))
	cmd := exec.Command("pkcs11-tool", "--module", m.Library, "-L")
	cmd.Env = append(append(os.Environ(), token.Env()...), m.EnvList()...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for m.Calls(t, "C_Initialize") == 0 {
		time.Sleep(time.Millisecond)
	}
	if n := m.Calls(t, "C_GetSlotList"); n != 0 {
		t.Errorf("C_GetSlotList was called %d times beside a C_Initialize that hangs", n)
	}
	m.Set(t)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if n := m.Calls(t, "C_GetSlotList"); n == 0 {
		t.Error("nothing was called after the hang")
	}
}
