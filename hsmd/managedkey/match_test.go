package managedkey_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

func slot(n uint64) *uint64 { return &n }

func TestNamesSameKey(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.so")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(dir, "link.so")); err != nil {
		t.Fatal(err)
	}
	a := &managedkey.Library{Name: "a", Path: path}
	link := &managedkey.Library{Name: "link", Path: filepath.Join(dir, "link.so")}
	other := &managedkey.Library{Name: "other", Path: "/other.so"}
	hcl := wire.PKCS11Definition{TokenLabel: "ca", KeyLabel: "root"}
	for _, c := range []struct {
		what    string
		library *managedkey.Library
		p       wire.PKCS11Definition
		same    bool
	}{
		{"the same words", a, hcl, true},
		{"through a symlink", link, hcl, true},
		{"another library", other, hcl, false},
		{"another token", a, wire.PKCS11Definition{TokenLabel: "cb", KeyLabel: "root"}, false},
		{"token by slot, the same label", a, wire.PKCS11Definition{Slot: slot(3), KeyLabel: "root"}, true},
		{"another label", a, wire.PKCS11Definition{TokenLabel: "ca", KeyLabel: "leaf"}, false},
		{"by id: only the public key can tell", a, wire.PKCS11Definition{TokenLabel: "ca", KeyID: "01"}, false},
		{"label and id", a, wire.PKCS11Definition{TokenLabel: "ca", KeyLabel: "root", KeyID: "01"}, true},
	} {
		x := &managedkey.Key{Definition: wire.Definition{PKCS11: &hcl}, Library: a}
		y := &managedkey.Key{Definition: wire.Definition{PKCS11: &c.p}, Library: c.library}
		if got, back := managedkey.NamesSameKey(x, y), managedkey.NamesSameKey(y, x); got != c.same || back != c.same {
			t.Errorf("%s: %v and %v, want %v", c.what, got, back, c.same)
		}
	}
}

func TestResolveToken(t *testing.T) {
	tokens := []wire.TokenStatus{{Slot: 1, Label: "ca", Serial: "01"}, {Slot: 2, Label: "twin", Serial: "02"}, {Slot: 3, Label: "twin", Serial: "03"}, {Slot: 9}}
	for _, c := range []struct {
		p    wire.PKCS11Definition
		slot uint64
		code wire.Code
	}{
		{wire.PKCS11Definition{TokenLabel: "ca"}, 1, 0},
		{wire.PKCS11Definition{Slot: slot(2)}, 2, 0},
		{wire.PKCS11Definition{TokenLabel: "twin", TokenSerial: "03"}, 3, 0},
		{wire.PKCS11Definition{TokenLabel: "twin"}, 0, wire.Invalid},
		{wire.PKCS11Definition{TokenLabel: "none"}, 0, wire.Invalid},
		{wire.PKCS11Definition{TokenLabel: "ca", Slot: slot(2)}, 0, wire.Invalid},
	} {
		token, err := managedkey.ResolveToken(&c.p, tokens)
		if (err == nil) != (c.code == 0) || err == nil && token.Slot != c.slot {
			t.Errorf("%+v: %+v, %v", c.p, token, err)
		}
	}
}

func TestWireRules(t *testing.T) {
	if err := managedkey.NewWireRules(nil).AllowLibrary("softhsm"); err == nil {
		t.Error("defined without wire_keys")
	}
	r := managedkey.NewWireRules(&config.WireKeys{Libraries: []string{"SoftHSM"}, Tokens: []string{"ca"}, MaxKeys: 2})
	any := managedkey.NewWireRules(&config.WireKeys{Libraries: []string{"*"}, Tokens: []string{"*"}, MaxKeys: 1})
	for what, c := range map[string]struct {
		err   error
		allow bool
	}{
		"library":       {r.AllowLibrary("softhsm"), true},
		"other library": {r.AllowLibrary("nss"), false},
		"any library":   {any.AllowLibrary("nss"), true},
		"token":         {r.AllowToken("ca"), true},
		"other token":   {r.AllowToken("cb"), false},
		"any token":     {any.AllowToken("cb"), true},
		"two keys":      {r.AllowCount(2), true},
		"three keys":    {r.AllowCount(3), false},
	} {
		if (c.err == nil) != c.allow {
			t.Errorf("%s: %v", what, c.err)
		}
	}
}

func TestSetIsImmutable(t *testing.T) {
	key := func(name string) *managedkey.Key {
		return &managedkey.Key{Definition: wire.Definition{Name: name}}
	}
	first := managedkey.NewSet(key("b"), key("a"))
	second := first.With(key("aa")).With(key("b")).Without("a")
	if first.Lookup("aa") != nil || first.Lookup("a") == nil || len(first.All()) != 2 {
		t.Error("a set changed")
	}
	if all := second.All(); len(all) != 2 || all[0].Name() != "aa" || all[1].Name() != "b" || all[1] == first.Lookup("b") {
		t.Errorf("got %v", all)
	}
}
