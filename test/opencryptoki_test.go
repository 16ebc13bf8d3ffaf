package test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/test/token"
	"github.com/hsmpki/hsmpki/wire"
)

// wrongPIN has as many characters as the token takes.
const wrongPIN = "00wrong0"

// softToken is opencryptoki's token, which locks itself, and an hsmd that is
// where the token is.
func softToken(t *testing.T) (*token.OpenCryptoki, *daemon.HSMD) {
	t.Helper()
	c := token.NewOpenCryptoki(t)
	h := daemon.NewHSMD(t, softTokenKey(c, c.PIN))
	h.Via(c.Through...)
	return c, h
}

func softTokenKey(c *token.OpenCryptoki, pin string) string {
	return fmt.Sprintf(`
kms_library "pkcs11" {
  name    = "opencryptoki"
  library = %q
}
managed_key "pkcs11" "rsa" {
  library            = "opencryptoki"
  token_label        = %q
  pin                = %q
  key_label          = "rsa"
  mechanism          = "0x1"
  key_bits           = 2048
  allow_generate_key = true
}
`, c.Library, c.Label, pin)
}

// generate asks hsmd for the token's key, which logs in.
func generate(t *testing.T, h *daemon.HSMD) error {
	t.Helper()
	_, err := wireClient(t, h.Socket).Generate(t.Context(), &wire.GenerateRequest{Key: "rsa", ID: "soft-token"})
	return err
}

func refusedLogin(t *testing.T, h *daemon.HSMD, words string) {
	t.Helper()
	if err := generate(t, h); !errors.Is(err, wire.LoginRefused) || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v; want a refused login that says %q", err, words)
	}
}

// mistype shows the token a wrong PIN, beside hsmd.
func mistype(t *testing.T, c *token.OpenCryptoki) {
	t.Helper()
	out, err := c.Command("pkcs11-tool", "--module", c.Library, "--token-label", c.Label, "--login", "--pin", wrongPIN, "-O").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "CKR_PIN_INCORRECT") {
		t.Fatalf("a wrong PIN: %v\n%s", err, out)
	}
}

// TestCase3_VendorDaemonDown: without its daemon the library says
// CKR_HOST_MEMORY. Its keys are unavailable, others serve, and it serves when
// the daemon is there.
func TestCase3_VendorDaemonDown(t *testing.T) {
	c, h := softToken(t)
	other := softhsm.New(t)
	h.Write(t, softTokenKey(c, c.PIN)+daemon.Libraries(other.Store)+hclKey(other, "ca"))
	c.StopDaemon(t)
	h.Start()
	err := generate(t, h)
	if !errors.Is(err, wire.Unavailable) || !strings.Contains(err.Error(), "CKR_HOST_MEMORY") || !strings.Contains(err.Error(), "is the library's daemon running?") {
		t.Errorf("without the daemon: %v", err)
	}
	signerOf(t, wireClient(t, h.Socket), "ca")
	c.StartDaemon(t)
	eventually(t, "the library serves", func() bool { err = generate(t, h); return err == nil })
}

// TestCase8_WrongPINIsShownOnce: hsmd is restarted again and again with a wrong
// PIN, and the token counts one try.
func TestCase8_WrongPINIsShownOnce(t *testing.T) {
	c, h := softToken(t)
	h.Write(t, softTokenKey(c, wrongPIN))
	for i := range 6 {
		if i == 0 {
			h.Start()
			refusedLogin(t, h, "the token refused the PIN")
		} else {
			h.Restart()
		}
		for range 3 {
			refusedLogin(t, h, "refused this PIN before")
		}
	}
	if flags := c.Flags(t); !slices.Contains(flags, "USER_PIN_COUNT_LOW") || slices.Contains(flags, "USER_PIN_FINAL_TRY") {
		t.Errorf("after six starts the token has the flags %v; one wrong try gives it USER_PIN_COUNT_LOW", flags)
	}
	h.Write(t, softTokenKey(c, c.PIN))
	h.Restart()
	if err := generate(t, h); err != nil {
		t.Errorf("with the right PIN: %v", err)
	}
	if flags := c.Flags(t); slices.Contains(flags, "USER_PIN_COUNT_LOW") {
		t.Errorf("the token still counts: %v", flags)
	}
}

// TestCase9_LastTryIsNotTaken: the token has one try left. Even the right PIN is
// not shown to it, until somebody has logged in by hand.
func TestCase9_LastTryIsNotTaken(t *testing.T) {
	c, h := softToken(t)
	mistype(t, c)
	mistype(t, c)
	h.Start()
	for range 3 {
		refusedLogin(t, h, "has one try left")
	}
	if flags := c.Flags(t); !slices.Contains(flags, "USER_PIN_FINAL_TRY") || slices.Contains(flags, "USER_PIN_LOCKED") {
		t.Errorf("the token has the flags %v", flags)
	}
	c.Tool(t, "-O")
	if err := generate(t, h); err != nil {
		t.Errorf("after a login by hand: %v", err)
	}
}

// TestCase10_LockedToken: it is said, everywhere, and nothing is tried.
func TestCase10_LockedToken(t *testing.T) {
	c, h := softToken(t)
	for range 3 {
		mistype(t, c)
	}
	h.Start()
	for range 3 {
		refusedLogin(t, h, "is locked (CKF_USER_PIN_LOCKED)")
	}
	status, err := wireClient(t, h.Socket).Status(t.Context(), &wire.StatusRequest{})
	if err != nil || len(status.Libraries) != 1 || len(status.Libraries[0].Tokens) != 1 ||
		!slices.Contains(status.Libraries[0].Tokens[0].Flags, "user_pin_locked") {
		t.Errorf("the status does not show it: %+v, %v", status, err)
	}
}
