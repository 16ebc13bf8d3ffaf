package backendtest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// pair makes a P-256 key on the token that hsmd knows nothing of.
func (f *faulty) pair(t *testing.T, label string) {
	t.Helper()
	f.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", label, "--id", "01")
}

// TestCase11_EmptyPIN: it is refused before the token is asked.
func TestCase11_EmptyPIN(t *testing.T) {
	f := newFaulty(t)
	f.define(t, f.key("key"), func(p *wire.PKCS11Definition) { p.PIN = "" })
	_, err := f.look(t, "key")
	f.wants(t, err, wire.LoginRefused, "has no PIN")
	if n := f.Calls(t, "C_Login"); n != 0 {
		t.Errorf("an empty PIN was shown to the token %d times", n)
	}
}

// TestCase12_AlreadyLoggedIn: who logged in first does not matter.
func TestCase12_AlreadyLoggedIn(t *testing.T) {
	f := newFaulty(t, faultmodule.Lose("C_Login", 0x100).Nth(1)) // CKR_USER_ALREADY_LOGGED_IN
	f.pair(t, "key")
	f.define(t, f.key("key"), nil)
	f.works(t, "key")
}

// TestWrongPINInAVendorsWords: where a token counts a wrong PIN and answers it with
// a code that could be anything, its flags tell, and the PIN is not shown again.
// The token is away only where they do not.
func TestWrongPINInAVendorsWords(t *testing.T) {
	f := newFaulty(t, faultmodule.Lose("C_Login", 0x80000123))
	f.pair(t, "key")
	f.define(t, f.key("key"), func(p *wire.PKCS11Definition) { p.PIN = "wrong-pin" })
	calls := f.Calls(t, "C_Login")
	for range 3 {
		_, err := f.look(t, "key")
		f.wants(t, err, wire.LoginRefused)
	}
	if n := f.Calls(t, "C_Login") - calls; n != 1 {
		t.Errorf("a wrong PIN was shown to the token %d times", n)
	}
}

// TestLoginNone: the token is logged in by others (nShield's preload), or wants
// no login; hsmd shows it nothing.
func TestLoginNone(t *testing.T) {
	f := newFaulty(t)
	f.pair(t, "key")
	f.define(t, f.key("with-pin"), func(p *wire.PKCS11Definition) { p.KeyLabel = "key" })
	f.define(t, f.key("key"), func(p *wire.PKCS11Definition) { p.PIN, p.Login = "", "none" })
	_, err := f.look(t, "key")
	f.wants(t, err, wire.UnknownKey)
	if n := f.Calls(t, "C_Login"); n != 0 {
		t.Errorf("%d logins without a PIN", n)
	}
	f.works(t, "with-pin")
	_, err = f.look(t, "key")
	f.wants(t, err, wire.LoginRefused, "logged in with a PIN")
}

// TestPINPad: a token with a pad is shown no PIN; it asks for it, and once only
// where that fails.
func TestPINPad(t *testing.T) {
	pad := faultmodule.Flags(ckfProtectedAuthPath, 0)
	f := newFaulty(t, pad, faultmodule.ProtectedPIN(softhsm.PIN))
	f.pair(t, "key")
	f.define(t, f.key("key"), func(p *wire.PKCS11Definition) { p.PIN, p.Login = "", "none" })
	f.works(t, "key")
	if n := f.Calls(t, "C_Login"); n != 1 {
		t.Errorf("%d logins", n)
	}

	f = newFaulty(t, pad, faultmodule.ProtectedPIN("mistyped"))
	f.define(t, f.key("key"), func(p *wire.PKCS11Definition) { p.PIN, p.Login = "", "none" })
	for range 3 {
		_, err := f.look(t, "key")
		f.wants(t, err, wire.LoginRefused)
	}
	if n := f.Calls(t, "C_Login"); n != 1 {
		t.Errorf("the pad asked %d times", n)
	}
	if status, err := f.service.Status(t.Context(), &wire.StatusRequest{}); err != nil || len(status.Refused) != 0 {
		t.Errorf("what was typed at a pad is remembered beyond the process: %+v, %v", status, err)
	}
}

// TestPINPadTakesItsTime: whoever types has longer than any other call may take.
func TestPINPadTakesItsTime(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, faultmodule.Flags(ckfProtectedAuthPath, 0), faultmodule.ProtectedPIN(softhsm.PIN), faultmodule.Sleep("C_Login", 11*time.Second))
	f.pair(t, "key")
	f.define(t, f.key("key"), func(p *wire.PKCS11Definition) { p.PIN, p.Login = "", "none" })
	f.works(t, "key")
}

// TestCryptoUser: it is another user with another PIN, and no key of the normal
// user's definition is reached through its login.
func TestCryptoUser(t *testing.T) {
	f := newFaulty(t, faultmodule.LoginAs(0x80000001))
	f.pair(t, "key")
	f.define(t, f.key("key"), func(p *wire.PKCS11Definition) { p.Login = "crypto_user" })
	f.works(t, "key")
	f.define(t, f.key("normal"), func(p *wire.PKCS11Definition) { p.KeyLabel = "key" })
	_, err := f.look(t, "normal")
	f.wants(t, err, wire.LoginRefused, "another user")
}

// TestPINsAreHandedOn: a PIN is what the vendor makes of it.
func TestPINsAreHandedOn(t *testing.T) {
	for _, pin := range []string{"ca-user:pass word", `domain\user:p@ss"{}`, "pîn✓ x"} {
		f := newFaulty(t)
		f.pair(t, "key")
		f.Tool(t, "--change-pin", "--new-pin", pin)
		f.define(t, f.key("key"), func(p *wire.PKCS11Definition) { p.PIN = pin })
		f.works(t, "key")
	}
}

// TestExpiredPIN: it is shown once, as a wrong one is.
func TestExpiredPIN(t *testing.T) {
	f := newFaulty(t, faultmodule.Return("C_Login", ckrPINExpired))
	f.define(t, f.key("key"), nil)
	for range 3 {
		_, err := f.look(t, "key")
		f.wants(t, err, wire.LoginRefused)
	}
	f.Set(t)
	_, err := f.look(t, "key")
	f.wants(t, err, wire.LoginRefused, "not tried again until the PIN in the definition changes")
	if n := f.Calls(t, "C_Login"); n != 1 {
		t.Errorf("an expired PIN was shown %d times", n)
	}
}

// TestCase36_PINForEachSignature: a key that wants its PIN each time is given it,
// and one that is wrong is shown once, by however many.
func TestCase36_PINForEachSignature(t *testing.T) {
	f := newFaulty(t, faultmodule.AlwaysAuthenticate(softhsm.PIN))
	f.pair(t, "key")
	f.define(t, f.key("key"), nil)
	info := f.works(t, "key")
	logins := f.Calls(t, "C_Login")
	atOnce(16, func(i int) {
		if err := f.sign(t, &info, wire.ECDSAP256SHA256, []byte{byte(i)}); err != nil {
			t.Error(err)
		}
	})
	if n := f.Calls(t, "C_Login") - logins; n != 16 {
		t.Errorf("%d logins for 16 signatures", n)
	}

	f.Set(t, faultmodule.AlwaysAuthenticate("changed-pin"))
	logins = f.Calls(t, "C_Login")
	atOnce(16, func(i int) {
		f.wants(t, f.sign(t, &info, wire.ECDSAP256SHA256, []byte{byte(i)}), wire.LoginRefused)
	})
	if n := f.Calls(t, "C_Login") - logins; n != 1 {
		t.Errorf("the wrong PIN was shown %d times", n)
	}
	status, err := f.service.Status(t.Context(), &wire.StatusRequest{})
	if err != nil || len(status.Refused) != 1 {
		t.Errorf("the status has the refusals %+v, %v; want one", status, err)
	}
}

// TestCase36_WithoutSaying: a definition can say that a token wants the PIN each
// time though the key does not.
func TestCase36_WithoutSaying(t *testing.T) {
	f := newFaulty(t, faultmodule.AlwaysAuthenticate(softhsm.PIN), faultmodule.HideAttribute(ckaAlwaysAuthenticate, 3))
	f.pair(t, "key")
	f.define(t, f.key("key"), func(p *wire.PKCS11Definition) { p.Login = "context_specific" })
	f.works(t, "key")
	f.Set(t, faultmodule.AlwaysAuthenticate(softhsm.PIN), faultmodule.Flags(ckfPINFinalTry, 0))
	_, err := f.look(t, "key")
	if err != nil { // what is known needs no signature
		t.Error(err)
	}
	info := wire.KeyInfo{Definition: f.key("key")}
	known, _ := f.look(t, "key")
	info.PublicKey, info.Hashed = known.PublicKey, known.Hashed
	logins := f.Calls(t, "C_Login")
	f.wants(t, f.sign(t, &info, wire.ECDSAP256SHA256, []byte("m")), wire.LoginRefused, "one try left")
	if f.Calls(t, "C_Login") != logins {
		t.Error("the last try was taken")
	}
}

// TestCase36_HashedAndAsked: the slower ways go together.
func TestCase36_HashedAndAsked(t *testing.T) {
	f := newFaulty(t, faultmodule.AlwaysAuthenticate(softhsm.PIN), faultmodule.Mechanisms(0x43, 0x44, 0x45))
	f.Tool(t, "--keypairgen", "--key-type", "rsa:2048", "--label", "rsa", "--id", "01")
	f.define(t, f.rsa("rsa", 0xD), nil)
	info := f.works(t, "rsa")
	if !slices.Contains(info.Hashed, wire.RSAPSSSHA384) {
		t.Errorf("hashed on the token: %v", info.Hashed)
	}
	if err := f.sign(t, &info, wire.RSAPSSSHA384, make([]byte, 150_000)); err != nil {
		t.Error(err)
	}
}
