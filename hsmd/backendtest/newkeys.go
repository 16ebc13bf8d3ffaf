package backendtest

import (
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/wire"
)

// neverOverAnOrphan: a public key alone keeps its label, for on some tokens a
// second pair replaces what has the same name.
func neverOverAnOrphan(t *testing.T, b *Backend) {
	if b.Tool == nil {
		return
	}
	b.Tool(t, "--keypairgen", "--key-type", b.toolType(), "--label", "orphan", "--id", "05")
	b.Tool(t, "--delete-object", "--type", "privkey", "--id", "05")
	b.configure(t, b.plainKey("orphan"))
	_, err := b.Service.Generate(t.Context(), &wire.GenerateRequest{Key: "orphan", ID: "x"})
	b.wants(t, "a key over an orphan", err, wire.Invalid)
}

// neverOverAnotherKey: a key pair with the id or the label of another is not
// made, since on some tokens it would take the other's place.
func neverOverAnotherKey(t *testing.T, b *Backend) {
	d := b.plainKey("first")
	d.PKCS11.KeyID = "0a0b0c0d"
	first := b.made(t, d)
	for name, change := range map[string]func(*wire.PKCS11Definition){
		"same-id":    func(p *wire.PKCS11Definition) { p.KeyID = "0a0b0c0d" },
		"same-label": func(p *wire.PKCS11Definition) { p.KeyLabel, p.KeyID = "first", "0e0f" },
	} {
		d := b.plainKey(name)
		change(d.PKCS11)
		b.configure(t, d)
		_, err := b.Service.Generate(t.Context(), &wire.GenerateRequest{Key: name, ID: name})
		b.wants(t, name, err, wire.Invalid, "already")
	}
	if now := b.find(t, "first"); now.Fault != nil || string(now.PublicKey) != string(first.spki) {
		t.Errorf("the first key is not what it was: %+v", now.Fault)
	}
	if _, err := b.sign(t, "first", first, b.plainScheme()); err != nil {
		t.Error(err)
	}
}

// refusesWhatTheTokenLacks: a type of key that the token cannot make is said to
// be unsupported, leaves nothing behind and harms nobody.
func refusesWhatTheTokenLacks(t *testing.T, b *Backend) {
	public := b.made(t, b.plainKey("key"))
	for _, kind := range b.Lacks {
		name := "lacking-" + strings.ToLower(string(kind))
		b.configure(t, b.definition(name, kind, shapes[kind].mechanisms[0]))
		_, err := b.Service.Generate(t.Context(), &wire.GenerateRequest{Key: name, ID: name})
		b.wants(t, string(kind), err, wire.Invalid, "does not support")
		b.wants(t, string(kind)+" looked for", b.find(t, name).Fault.Err(), wire.UnknownKey)
	}
	if _, err := b.sign(t, "key", public, b.plainScheme()); err != nil {
		t.Errorf("after all the refusals: %v", err)
	}
}
