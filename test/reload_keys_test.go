package test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// TestReloadStoredName has the file take the name of a key that was defined over
// the wire, and give it back.
func TestReloadStoredName(t *testing.T) {
	token := softhsm.New(t)
	blocks := daemon.Libraries(token.Store) + daemon.WireKeys
	h := daemon.NewHSMD(t, blocks)
	h.Start()
	c := wireClient(t, h.Socket)
	defineOver(t, c, token, "shared")
	stored := signerOf(t, c, "shared")
	inFile := strings.Replace(hclKey(token, "shared"), `key_label          = "shared"`, `key_label = "of-the-file"`, 1)
	says(t, reload(t, h, blocks+inFile), `stored managed key \"shared\" is inactive: hsmd's configuration defines one of its name`,
		`"rule changed","rule":"managed_key \"shared\""`)
	taken := signerOf(t, c, "shared")
	if taken.spki == stored.spki {
		t.Error("the stored key answers for the file's")
	}
	if _, err := c.Configure(t.Context(), &wire.ConfigureRequest{Definition: p256(token, "shared", token.PIN)}); !errors.Is(err, wire.Invalid) ||
		!strings.Contains(err.Error(), "defined in hsmd's configuration") {
		t.Errorf("defined over the file's: %v", err)
	}
	h.Restart()
	says(t, reload(t, h, blocks), `"rule changed","rule":"managed_key \"shared\""`)
	again := signerOf(t, wireClient(t, h.Socket), "shared")
	if again.spki != stored.spki {
		t.Error("the stored key did not come back")
	}

	// A file's key that is the stored one by another name takes it away.
	same := strings.Replace(hclKey(token, "other"), `key_label          = "other"`, `key_label = "shared"`, 1)
	says(t, reload(t, h, blocks+same), `stored managed key \"shared\" cannot be used: it is the key that is named other`)
	again = &signer{wireClient(t, h.Socket), "shared", stored.public, stored.spki}
	if err := again.ask(func(r *wire.SignRequest) { r.Message = tbsCertificate(t, again) }); !errors.Is(err, wire.Invalid) {
		t.Errorf("the key of the file by its stored name: %v", err)
	}
}

// TestReloadProtectsKey: a key pair that was in use under a name of the wire
// belongs to the file when a reload names it there, be it in words that do not
// tell.
func TestReloadProtectsKey(t *testing.T) {
	token := softhsm.New(t)
	token.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "issuing", "--id", "a1b2")
	blocks := daemon.Libraries(token.Store) + daemon.WireKeys
	h := daemon.NewHSMD(t, blocks)
	h.Start()
	c := wireClient(t, h.Socket)
	d := p256(token, "sly", token.PIN)
	d.PKCS11.KeyLabel, d.PKCS11.KeyID, d.AllowGenerateKey = "", "a1b2", false
	if _, err := c.Configure(t.Context(), &wire.ConfigureRequest{Definition: d}); err != nil {
		t.Fatal(err)
	}
	sly := signerOf(t, c, "sly")
	tbs := tbsCertificate(t, sly)
	sign := func() error { return sly.ask(func(r *wire.SignRequest) { r.Message = tbs }) }
	if err := sign(); err != nil {
		t.Fatal(err)
	}
	reload(t, h, blocks+hclKey(token, "issuing"))
	if err := sign(); !errors.Is(err, wire.Denied) || !strings.Contains(err.Error(), `hsmd's configuration names "issuing"`) {
		t.Errorf("the file's key by a name of the wire: %v, want denied", err)
	}
	reload(t, h, blocks)
	if err := sign(); err != nil {
		t.Errorf("when the file does not name it any more: %v", err)
	}
}

// TestReloadInternalKeys moves internal_keys to another token and back: the keys
// that were made before are on the one they were made on.
func TestReloadInternalKeys(t *testing.T) {
	token, other := softhsm.New(t), softhsm.New(t)
	blocks := daemon.Libraries(token.Store) + librariesAt(other.Store, "second", other.Library) + daemon.WireKeys
	h := daemon.NewHSMD(t, blocks+daemon.InternalKeys(token))
	h.Start()
	c := wireClient(t, h.Socket)
	generate := func(id string) error {
		_, err := c.Generate(t.Context(), &wire.GenerateRequest{ID: id, Type: wire.KeyP256})
		return err
	}
	if err := generate("one"); err != nil {
		t.Fatal(err)
	}
	one := signerOf(t, c, "internal-one")
	sign := func() error { return one.ask(func(r *wire.SignRequest) { r.Message = tbsCertificate(t, one) }) }

	moved := strings.Replace(daemon.InternalKeys(other), `"softhsm"`, `"second"`, 1)
	says(t, reload(t, h, blocks+moved), `"rule changed","rule":"internal_keys"`,
		`stored managed key \"internal-one\" cannot be used: it is not on the token that internal_keys in hsmd's configuration names`)
	if err := generate("two"); err != nil {
		t.Errorf("on the new token: %v", err)
	}
	if err := sign(); !errors.Is(err, wire.Invalid) {
		t.Errorf("with the key of the token before: %v, want invalid", err)
	}
	reload(t, h, blocks)
	if err := generate("three"); !errors.Is(err, wire.Denied) {
		t.Errorf("without internal_keys: %v, want denied", err)
	}
	reload(t, h, blocks+daemon.InternalKeys(token))
	if err := sign(); err != nil {
		t.Errorf("on the first token again: %v", err)
	}
}

// TestReloadRefusedPIN: a PIN in the file that the token refuses is shown to it
// once, however many keys have it and however often hsmd reloads.
func TestReloadRefusedPIN(t *testing.T) {
	token := softhsm.New(t)
	faults := faultmodule.New(t, token.Library)
	library := faulty(token.Store, faults, "softhsm")
	keys := func(pin string) string {
		return hclKeyIn("softhsm", token, "a", pin) + hclKeyIn("softhsm", token, "b", pin) + hclKeyIn("softhsm", token, "c", pin)
	}
	h := daemon.NewHSMD(t, library+keys(token.PIN))
	h.Start()
	signing := startSigning(t, h, "a", "b", "c")
	logins := faults.Calls(t, "C_Login")
	wrong := library + keys("no-pin-of-this-1")
	notTaken(t, h, wrong, `managed key \"a\": `, `managed key \"b\": `, `managed key \"c\": `, `"faults":3`)
	notTaken(t, h, wrong, "has refused this PIN before")
	if more := faults.Calls(t, "C_Login") - logins; more != 1 {
		t.Errorf("the wrong PIN was tried %d times, want once", more)
	}
	signing.waitFor(t, 10)
	signing.finish(t)
	if strings.Contains(h.Log(), "no-pin-of-this") {
		t.Error("the log shows a PIN")
	}
}
