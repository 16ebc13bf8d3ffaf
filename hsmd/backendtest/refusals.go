package backendtest

import (
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/wire"
)

// refusesRequests: what makes no sense is refused, and the key signs on.
func refusesRequests(t *testing.T, b *Backend) {
	public := b.made(t, b.plainKey("key"))
	message, err := b.message(public, b.plainScheme())
	if err != nil {
		t.Fatal(err)
	}
	sound := func() *wire.SignRequest { return b.request("key", public, b.plainScheme(), message) }
	for _, test := range []struct {
		name   string
		change func(*wire.SignRequest)
		code   wire.Code
	}{
		{"another key's SPKI", func(r *wire.SignRequest) { r.SPKI = make([]byte, 32) }, wire.KeyChanged},
		{"an unknown key", func(r *wire.SignRequest) { r.Key = "nobody" }, wire.UnknownKey},
		{"a curve that the key is not on", func(r *wire.SignRequest) { r.Scheme, r.Digest = wire.ECDSAP384SHA384, sized(r.Digest, 48) }, wire.Invalid},
		{"another mechanism's scheme", func(r *wire.SignRequest) { r.Scheme = wire.RSAPSSSHA256 }, wire.Invalid},
		{"an unknown scheme", func(r *wire.SignRequest) { r.Scheme = 0x0203 }, wire.Invalid},
	} {
		req := sound()
		test.change(req)
		_, err := b.Service.Sign(t.Context(), req)
		b.wants(t, test.name, err, test.code)
	}
	if b.Worker != nil {
		for _, size := range []int{1, 31, 33, 64} {
			req := sound()
			req.Digest = make([]byte, size)
			_, err := b.Service.Sign(t.Context(), req)
			b.wants(t, "a digest of the wrong length", err, wire.Invalid)
		}
	}
	_, err = b.Service.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x", Responder: true})
	b.wants(t, "a responder's key, which is hsmd's to make", err, wire.Invalid)
	if _, err := b.sign(t, "key", public, b.plainScheme()); err != nil {
		t.Errorf("after all the refusals: %v", err)
	}
}

// sized is a digest of another length, or none where there was none.
func sized(digest []byte, size int) []byte {
	if digest == nil {
		return nil
	}
	return make([]byte, size)
}

// refusesDefinitions: a definition that leads nowhere says so at its use.
func refusesDefinitions(t *testing.T, b *Backend) {
	b.made(t, b.plainKey("key"))
	for _, test := range []struct {
		name   string
		change func(*wire.Definition)
		code   wire.Code
		words  []string
	}{
		{"no-such-token", func(d *wire.Definition) {
			d.PKCS11.TokenLabel, d.PKCS11.TokenSerial, d.PKCS11.Slot = "nowhere", "", nil
		}, wire.Unavailable, []string{"nowhere"}}, // it may be away
		{"wrong-mechanism", func(d *wire.Definition) {
			d.PKCS11.KeyLabel = "key"
			d.PKCS11.Mechanism, d.PKCS11.Curve, d.PKCS11.KeyBits = 0x1, "", 2048
			if b.plain() == wire.KeyRSA2048 {
				d.PKCS11.Mechanism, d.PKCS11.Curve, d.PKCS11.KeyBits = 0x1041, "P256", 0
			}
		}, wire.Invalid, nil},
		{"not-there", func(d *wire.Definition) { d.AllowGenerateKey = false }, wire.UnknownKey, nil},
	} {
		d := b.plainKey(test.name)
		test.change(&d)
		b.configure(t, d)
		b.wants(t, test.name, b.find(t, test.name).Fault.Err(), test.code, test.words...)
	}
	_, err := b.Service.Generate(t.Context(), &wire.GenerateRequest{Key: "not-there", ID: "x"})
	b.wants(t, "generate without allow_generate_key", err, wire.Denied)
}

// refusesAnotherPIN: a token that is logged in takes any PIN, so the backend
// has to tell them apart.
func refusesAnotherPIN(t *testing.T, b *Backend) {
	public := b.made(t, b.plainKey("key"))
	d := b.plainKey("other-pin")
	d.PKCS11.KeyLabel, d.PKCS11.PIN = "key", "not-the-pin-71c2"
	b.configure(t, d)
	b.wants(t, "another PIN", b.find(t, d.Name).Fault.Err(), wire.LoginRefused)
	if _, err := b.sign(t, "key", public, b.plainScheme()); err != nil {
		t.Errorf("the right one after that: %v", err)
	}
}

// refusesAWrongPIN: one that the token is shown and refuses, before the right
// one.
func refusesAWrongPIN(t *testing.T, b *Backend) {
	d := b.plainKey("key")
	wrong := *d.PKCS11
	wrong.PIN = strings.Repeat("0", len(d.PKCS11.PIN))
	b.configure(t, wire.Definition{Type: d.Type, Name: d.Name, AllowGenerateKey: true, PKCS11: &wrong})
	for _, words := range []string{"the token refused the PIN", "refused this PIN before"} {
		_, err := b.Service.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"})
		b.wants(t, "a wrong PIN", err, wire.LoginRefused, words)
	}
	b.made(t, d)
}

// forgets: what is forgotten is unknown, and stays in the token.
func forgets(t *testing.T, b *Backend) {
	d := b.plainKey("key")
	public := b.made(t, d)
	if _, err := b.Service.Forget(t.Context(), &wire.ForgetRequest{Key: "key"}); err != nil {
		t.Fatal(err)
	}
	_, err := b.sign(t, "key", public, b.plainScheme())
	b.wants(t, "a forgotten key", err, wire.UnknownKey)
	_, err = b.Service.Forget(t.Context(), &wire.ForgetRequest{Key: "key"})
	b.wants(t, "forgotten twice", err, wire.UnknownKey)
	b.configure(t, d)
	if _, err := b.sign(t, "key", public, b.plainScheme()); err != nil {
		t.Errorf("defined again: %v", err)
	}
}

// ambiguous: of two keys with one label neither is used.
func ambiguous(t *testing.T, b *Backend) {
	if b.Tool == nil {
		return
	}
	for _, id := range []string{"01", "02"} {
		b.Tool(t, "--keypairgen", "--key-type", b.toolType(), "--label", "twin", "--id", id)
	}
	b.configure(t, b.plainKey("twin"))
	b.wants(t, "two keys of one label", b.find(t, "twin").Fault.Err(), wire.Invalid)
	_, err := b.Service.Generate(t.Context(), &wire.GenerateRequest{Key: "twin", ID: "x"})
	b.wants(t, "a third", err, wire.Invalid)

	d := b.plainKey("second")
	d.PKCS11.KeyLabel, d.PKCS11.KeyID, d.AllowGenerateKey = "twin", "02", false // made as one liked
	b.configure(t, d)
	info := b.find(t, "second")
	if info.Fault != nil {
		t.Fatalf("label and id together: %+v", info.Fault)
	}
	if _, err := b.sign(t, "second", parse(t, info.PublicKey), b.plainScheme()); err != nil {
		t.Error(err)
	}
}
