package server_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/wire"
)

var ctx = context.Background()

func defined(name, label string) wire.Definition {
	return wire.Definition{Type: "pkcs11", Name: name, AllowGenerateKey: true, PKCS11: &wire.PKCS11Definition{
		Library: "soft", TokenLabel: "ca", PIN: "pin-1234", KeyLabel: label, Mechanism: 0x1041, Curve: "P256"}}
}

func (h *hsmd) configure(d wire.Definition) (*wire.ConfigureResponse, error) {
	return h.as(own).Configure(ctx, &wire.ConfigureRequest{Definition: d})
}

func TestConfigureKeepsNameAndUUID(t *testing.T) {
	h := start(t, everything)
	first := must[*wire.ConfigureResponse](t)(h.configure(defined("learn", "learn")))
	if n := h.token.count("configure") + h.token.count("describe"); n != 0 {
		t.Errorf("configure asked the token %d times", n)
	}
	again := must[*wire.ConfigureResponse](t)(h.configure(defined("learn", "learn-2")))
	if first.UUID == "" || again.UUID != first.UUID {
		t.Errorf("UUID %q, after overwriting %q", first.UUID, again.UUID)
	}
	h.restart()
	got := must[*wire.DescribeResponse](t)(h.as(own).Describe(ctx, &wire.DescribeRequest{Key: "learn"}))
	k := got.Keys[0]
	if k.Definition.UUID != first.UUID || k.Definition.PKCS11.KeyLabel != "learn-2" || k.Source != wire.SourceWire || k.Definition.PKCS11.Library != "Soft" {
		t.Errorf("after a restart: %+v %+v", k, k.Definition.PKCS11)
	}
	if k.Definition.PKCS11.PIN != "" {
		t.Error("the PIN is shown")
	}
	must[*wire.ForgetResponse](t)(h.as(own).Forget(ctx, &wire.ForgetRequest{Key: "learn"}))
	_, err := h.as(own).Forget(ctx, &wire.ForgetRequest{Key: "learn"})
	want(t, err, wire.UnknownKey, "")
	h.restart()
	_, err = h.as(own).Describe(ctx, &wire.DescribeRequest{Key: "learn"})
	want(t, err, wire.UnknownKey, "")
	if fresh := must[*wire.ConfigureResponse](t)(h.configure(defined("learn", "learn"))); fresh.UUID == first.UUID {
		t.Error("a forgotten name got its UUID again")
	}
}

func TestRefusedDefinitions(t *testing.T) {
	h := start(t, strings.Replace(everything, `libraries = ["soft"] }`, `
  libraries = ["soft"]
  tokens    = ["ca"]
  max_keys  = 2
}
kms_library "pkcs11" {
  name    = "closed"
  library = "/lib/closed.so"
}`, 1))
	edit := func(f func(*wire.Definition)) error {
		d := defined("learn", "learn")
		f(&d)
		_, err := h.configure(d)
		return err
	}
	want(t, edit(func(d *wire.Definition) { d.Name = "root" }), wire.Invalid, `managed key "root" is defined in hsmd's configuration`)
	want(t, edit(func(d *wire.Definition) { d.PKCS11.KeyLabel = "root" }), wire.Denied, `would be the key that hsmd's configuration names "root"`)
	want(t, edit(func(d *wire.Definition) { d.PKCS11.Library = "nowhere" }), wire.Invalid, `knows no kms_library "nowhere"`)
	want(t, edit(func(d *wire.Definition) { d.PKCS11.Library = "closed" }), wire.Denied, "not among the libraries")
	want(t, edit(func(d *wire.Definition) { d.PKCS11.TokenLabel = "other" }), wire.Denied, `token "other" is not among the tokens`)
	want(t, edit(func(d *wire.Definition) { d.PKCS11.PIN = "env:HOME" }), wire.Invalid, "given through the API is literal")
	want(t, edit(func(d *wire.Definition) { d.Type = "awskms" }), wire.Invalid, "must have that part")
	want(t, edit(func(d *wire.Definition) { d.Name = "internal-1" }), wire.Invalid, "hsmd names itself")
	_, err := h.as(own).Configure(ctx, &wire.ConfigureRequest{Definition: defined("learn", "learn"), Worker: &wire.WorkerConfig{Library: "/tmp/evil.so"}})
	want(t, err, wire.Invalid, "between hsmd and them")
	_, err = h.as(own).Forget(ctx, &wire.ForgetRequest{Key: "root"})
	want(t, err, wire.Invalid, "is defined in hsmd's configuration")

	for n := range 2 {
		must[*wire.ConfigureResponse](t)(h.configure(defined(fmt.Sprint("k", n), fmt.Sprint("k", n))))
	}
	_, err = h.configure(defined("k2", "k2"))
	want(t, err, wire.Denied, "allows 2 keys (max_keys)")
	if _, err := h.configure(defined("k1", "k1b")); err != nil {
		t.Errorf("overwriting with max_keys reached: %v", err)
	}

	none := start(t, strings.Replace(strings.Replace(everything, "wire_keys {", "# ", 1), "internal_keys", "internal_keys", 1))
	_, err = none.configure(defined("learn", "learn"))
	want(t, err, wire.Denied, "no wire_keys block")
}

// TestTokenFoundByOtherWords defines by slot what wire_keys bounds by label:
// it shows at the first use.
func TestTokenFoundByOtherWords(t *testing.T) {
	h := start(t, strings.Replace(everything, `libraries = ["soft"] }`, "\n libraries = [\"soft\"]\n tokens = [\"ca\"]\n}", 1))
	slot := uint64(8) // labelled "other"
	d := defined("learn", "learn")
	d.PKCS11.TokenLabel, d.PKCS11.Slot = "", &slot
	must[*wire.ConfigureResponse](t)(h.configure(d))
	_, err := h.as(own).Test(ctx, &wire.TestRequest{Key: "learn"})
	want(t, err, wire.Denied, `token "other" is not among the tokens`)
	_, err = h.as(own).Generate(ctx, &wire.GenerateRequest{Key: "learn", ID: "1"})
	want(t, err, wire.Denied, `token "other" is not among the tokens`)
	slot = 99
	must[*wire.ConfigureResponse](t)(h.configure(d))
	_, err = h.as(own).Test(ctx, &wire.TestRequest{Key: "learn"})
	want(t, err, wire.Unavailable, "shows no token with slot 99")
}

// TestSameKeyByOtherWords names by CKA_ID a key that the configuration names by
// label. Only the public key tells, and it tells before any signature, in
// whatever order the two are used.
func TestSameKeyByOtherWords(t *testing.T) {
	for _, first := range []string{"root", "sly"} {
		h := start(t, everything)
		key := h.give("root", "P256")
		h.token.ids["01"] = "root"
		d := defined("sly", "")
		d.AllowGenerateKey, d.PKCS11.KeyLabel, d.PKCS11.KeyID = false, "", "01"
		must[*wire.ConfigureResponse](t)(h.configure(d))
		_, _ = h.as(own).Test(ctx, &wire.TestRequest{Key: first})
		certificate, _ := messages(t, x509.ECDSAWithSHA256, key, now)
		_, err := h.as(own).Sign(ctx, &wire.SignRequest{Key: "sly", SPKI: spkiID(t, key.Public()), Scheme: wire.ECDSAP256SHA256, Message: certificate})
		want(t, err, wire.Denied, `"sly" is the key that hsmd's configuration names "root"`)
		_, err = h.as(own).Test(ctx, &wire.TestRequest{Key: "sly"})
		want(t, err, wire.Denied, "is the key that hsmd's configuration names")
		if _, err := h.as(own).Test(ctx, &wire.TestRequest{Key: "root"}); err != nil {
			t.Errorf("the rightful name: %v", err)
		}
	}
}

// TestKeyThatAppearsLater finds the wire's key before the configuration's name
// for the same key has one.
func TestKeyThatAppearsLater(t *testing.T) {
	h := start(t, everything)
	key := h.give("elsewhere", "P256")
	h.token.ids["01"] = "elsewhere"
	d := defined("sly", "")
	d.AllowGenerateKey, d.PKCS11.KeyLabel, d.PKCS11.KeyID = false, "", "01"
	must[*wire.ConfigureResponse](t)(h.configure(d))
	must[*wire.TestResponse](t)(h.as(own).Test(ctx, &wire.TestRequest{Key: "sly"}))
	h.token.mu.Lock()
	h.token.keys["root"] = key
	h.token.mu.Unlock()
	must[*wire.TestResponse](t)(h.as(own).Test(ctx, &wire.TestRequest{Key: "root"}))
	_, err := h.as(own).Test(ctx, &wire.TestRequest{Key: "sly"})
	want(t, err, wire.Denied, "is the key that hsmd's configuration names")
}

// TestKeyOfTwoNames: a key pair that has two names which are not of the wire is
// protected as long as one of them is, whichever was found last.
func TestKeyOfTwoNames(t *testing.T) {
	const second = `
managed_key "pkcs11" "second" {
  library     = "soft"
  token_label = "ca"
  pin         = "pin-1234"
  key_label   = "second"
  mechanism   = "0x1041"
  curve       = "P256"
}
`
	for _, c := range []struct {
		name, config, first, last string
		lose                      func(h *hsmd)
		owner                     string
	}{
		{"the last found is forgotten", strings.ReplaceAll(second, `key_label   = "second"`, `key_label = "internal-1"`), "second", "internal-1", func(h *hsmd) {
			must[*wire.ForgetResponse](h.t)(h.as(own).Forget(ctx, &wire.ForgetRequest{Key: "internal-1"}))
		}, "second"},
		{"the last found is another pair now", second, "root", "second", func(h *hsmd) { h.give("second", "P256") }, "root"},
		{"the first found is another pair now", second, "second", "root", func(h *hsmd) { h.give("second", "P256") }, "root"},
		{"both are gone, the pair is not", second, "root", "second", func(h *hsmd) {
			h.token.mu.Lock()
			defer h.token.mu.Unlock()
			delete(h.token.keys, "root")
			delete(h.token.keys, "second")
		}, "root"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := start(t, everything+c.config)
			if c.last == "internal-1" {
				must[*wire.GenerateResponse](t)(h.as(own).Generate(ctx, &wire.GenerateRequest{ID: "1", Type: wire.KeyP256}))
			} else {
				h.give("root", "P256")
				h.token.keys["second"] = h.token.keys["root"]
			}
			// The pair under a label that nobody has a name for, and by id.
			h.token.keys["alias"] = h.token.keys[c.last]
			h.token.ids["01"] = "alias"
			d := defined("sly", "")
			d.AllowGenerateKey, d.PKCS11.KeyLabel, d.PKCS11.KeyID = false, "", "01"
			must[*wire.ConfigureResponse](t)(h.configure(d))
			for _, name := range []string{c.first, c.last} {
				must[*wire.TestResponse](t)(h.as(own).Test(ctx, &wire.TestRequest{Key: name}))
			}
			if n := strings.Count(h.log.String(), "two names are one key pair"); n != 1 {
				t.Errorf("the log says %d times that two names are one key pair:\n%s", n, h.log)
			}
			c.lose(h)
			_, _ = h.as(own).Describe(ctx, &wire.DescribeRequest{Find: true})
			_, err := h.as(own).Test(ctx, &wire.TestRequest{Key: "sly"})
			want(t, err, wire.Denied, `"sly" is the key that hsmd's configuration names "`+c.owner+`"`)
		})
	}
}

func TestStoredKeysUnderAnotherConfiguration(t *testing.T) {
	h := start(t, everything)
	must[*wire.ConfigureResponse](t)(h.configure(defined("learn", "learn")))
	must[*wire.GenerateResponse](t)(h.as(own).Generate(ctx, &wire.GenerateRequest{ID: "1", Type: wire.KeyP256}))
	again := func(old, next string) (learn, internal wire.KeyInfo) {
		t.Helper()
		other := start(t, strings.Replace(everything, old, next, 1))
		h.store.Close()
		other.store.Close()
		h.audit.Close()
		h.ledger.Close()
		other.dir, other.token = h.dir, h.token
		other.open()
		h.store, h.audit, h.ledger = other.store, other.audit, other.ledger
		all := must[*wire.DescribeResponse](t)(other.as(own).Describe(ctx, &wire.DescribeRequest{}))
		for _, k := range all.Keys {
			switch k.Definition.Name {
			case "learn":
				learn = k
			case "internal-1":
				internal = k
			}
		}
		return learn, internal
	}
	for _, c := range []struct{ old, next, learn, internal string }{
		{"", "", "", ""},
		{`wire_keys { libraries = ["soft"] }`, `kms_library "pkcs11" {
  name    = "none"
  library = "/lib/none.so"
}
wire_keys { libraries = ["none"] }`, "not among the libraries", ""},
		{`wire_keys { libraries = ["soft"] }`, "", "no wire_keys block", "no wire_keys block"},
		{"token_label = \"ca\"\n  pin         = \"pin-1234\"\n}", "token_label = \"cb\"\n  pin = \"pin-1234\"\n}", "", "not on the token that internal_keys"},
		{`key_label          = "root"`, `key_label = "learn"`, "it is the key that is named root", ""},
	} {
		learn, internal := again(c.old, c.next)
		for name, got := range map[string]struct {
			fault *wire.Fault
			want  string
		}{"learn": {learn.Fault, c.learn}, "internal-1": {internal.Fault, c.internal}} {
			err := got.fault.Err()
			if (err == nil) != (got.want == "") || err != nil && !strings.Contains(err.Error(), got.want) {
				t.Errorf("with %q for %q: %s: %v, want %q", c.next, c.old, name, err, got.want)
			}
		}
	}
	learn, _ := again(`"pkcs11" "root"`, `"pkcs11" "learn"`)
	if learn.Source != wire.SourceConfig || learn.Definition.PKCS11.KeyLabel != "root" {
		t.Errorf("the configuration's key of a stored name: %+v", learn)
	}
	if learn, _ = again("", ""); learn.Source != wire.SourceWire || learn.Definition.PKCS11.KeyLabel != "learn" {
		t.Errorf("when the configuration has it no more: %+v", learn)
	}
}

func TestDefinitionThatCannotBeKept(t *testing.T) {
	h := start(t, everything)
	if err := os.MkdirAll(filepath.Join(h.dir, "keys.new", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := h.configure(defined("learn", "learn"))
	want(t, err, wire.Unavailable, "could not be kept")
	_, err = h.as(own).Describe(ctx, &wire.DescribeRequest{Key: "learn"})
	want(t, err, wire.UnknownKey, "")
	_, err = h.as(own).Generate(ctx, &wire.GenerateRequest{ID: "1", Type: wire.KeyP256})
	want(t, err, wire.Unavailable, "could not be kept")
	if h.token.count("generate") != 0 || len(h.token.keys) != 0 {
		t.Error("a key was made that nothing remembers")
	}
}

func TestRefusedPINIsRememberedAcrossRestart(t *testing.T) {
	h := start(t, everything)
	d := defined("learn", "learn")
	d.PKCS11.PIN = "wrong"
	must[*wire.ConfigureResponse](t)(h.configure(d))
	h.token.pin = "wrong-for-root-too"
	_, err := h.as(own).Test(ctx, &wire.TestRequest{Key: "root"})
	want(t, err, wire.LoginRefused, "")
	h.restart()
	if kept := h.store.Refusals("/lib/soft.so"); len(kept) != 1 || string(kept[0].MAC) != "pin-1234" {
		t.Errorf("remembered %+v", kept)
	}
	_, err = h.as(own).Describe(ctx, &wire.DescribeRequest{Key: "root", Find: true})
	if err != nil {
		t.Fatal(err)
	}
	told := h.token.toldOf("root").Worker
	if len(told.Refusals) != 1 || len(told.RefusalKey) != 32 || told.Library != "/lib/soft.so" || told.FromWire {
		t.Errorf("the new worker was told %+v", told)
	}
	// A definition whose key cannot be told apart from one that cannot be looked
	// for has to wait, without its own PIN being tried.
	_, err = h.as(own).Test(ctx, &wire.TestRequest{Key: "learn"})
	want(t, err, wire.LoginRefused, "cannot tell whether this is the key")
	if errors.Is(err, wire.LoginRefused) && strings.Contains(err.Error(), "wrong") {
		t.Errorf("%v shows the PIN", err)
	}
}
