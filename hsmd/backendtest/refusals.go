package backendtest

import (
	"testing"

	"github.com/hsmpki/hsmpki/wire"
)

// refusesRequests: what makes no sense is refused, and the key signs on.
func refusesRequests(t *testing.T, b *Backend) {
	public := b.made(t, b.definition("ec", wire.KeyP256, 0x1041))
	message, err := b.message(public, wire.ECDSAP256SHA256)
	if err != nil {
		t.Fatal(err)
	}
	sound := func() *wire.SignRequest { return b.request("ec", public, wire.ECDSAP256SHA256, message) }
	for _, test := range []struct {
		name   string
		change func(*wire.SignRequest)
		code   wire.Code
	}{
		{"another key's SPKI", func(r *wire.SignRequest) { r.SPKI = make([]byte, 32) }, wire.KeyChanged},
		{"an unknown key", func(r *wire.SignRequest) { r.Key = "nobody" }, wire.UnknownKey},
		{"a curve that the key is not on", func(r *wire.SignRequest) { r.Scheme, r.Digest = wire.ECDSAP384SHA384, sized(r.Digest, 48) }, wire.Invalid},
		{"another mechanism's scheme", func(r *wire.SignRequest) { r.Scheme = wire.RSAPKCS1SHA256 }, wire.Invalid},
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
	_, err = b.Service.Generate(t.Context(), &wire.GenerateRequest{Key: "ec", ID: "x", Responder: true})
	b.wants(t, "a responder's key, which is hsmd's to make", err, wire.Invalid)
	if _, err := b.sign(t, "ec", public, wire.ECDSAP256SHA256); err != nil {
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
	b.made(t, b.definition("ec", wire.KeyP256, 0x1041))
	for _, test := range []struct {
		name   string
		change func(*wire.Definition)
		code   wire.Code
		words  []string
	}{
		{"no-such-token", func(d *wire.Definition) {
			d.PKCS11.TokenLabel, d.PKCS11.TokenSerial, d.PKCS11.Slot = "nowhere", "", nil
		}, wire.Unavailable, []string{"nowhere"}}, // it may be away
		{"rsa-for-ec", func(d *wire.Definition) {
			d.PKCS11.KeyLabel, d.PKCS11.Mechanism, d.PKCS11.Curve, d.PKCS11.KeyBits = "ec", 0x1, "", 2048
		}, wire.Invalid, nil},
		{"not-there", func(d *wire.Definition) { d.AllowGenerateKey = false }, wire.UnknownKey, nil},
	} {
		d := b.definition(test.name, wire.KeyP256, 0x1041)
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
	public := b.made(t, b.definition("ec", wire.KeyP256, 0x1041))
	d := b.definition("other-pin", wire.KeyP256, 0x1041)
	d.PKCS11.KeyLabel, d.PKCS11.PIN = "ec", "not-the-pin-71c2"
	b.configure(t, d)
	b.wants(t, "another PIN", b.find(t, d.Name).Fault.Err(), wire.LoginRefused)
	if _, err := b.sign(t, "ec", public, wire.ECDSAP256SHA256); err != nil {
		t.Errorf("the right one after that: %v", err)
	}
}

// forgets: what is forgotten is unknown, and stays in the token.
func forgets(t *testing.T, b *Backend) {
	d := b.definition("ec", wire.KeyP256, 0x1041)
	public := b.made(t, d)
	if _, err := b.Service.Forget(t.Context(), &wire.ForgetRequest{Key: "ec"}); err != nil {
		t.Fatal(err)
	}
	_, err := b.sign(t, "ec", public, wire.ECDSAP256SHA256)
	b.wants(t, "a forgotten key", err, wire.UnknownKey)
	_, err = b.Service.Forget(t.Context(), &wire.ForgetRequest{Key: "ec"})
	b.wants(t, "forgotten twice", err, wire.UnknownKey)
	b.configure(t, d)
	if _, err := b.sign(t, "ec", public, wire.ECDSAP256SHA256); err != nil {
		t.Errorf("defined again: %v", err)
	}
}

// ambiguous: of two keys with one label neither is used.
func ambiguous(t *testing.T, b *Backend) {
	if b.Tool == nil {
		return
	}
	for _, id := range []string{"01", "02"} {
		b.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "twin", "--id", id)
	}
	b.configure(t, b.definition("twin", wire.KeyP256, 0x1041))
	b.wants(t, "two keys of one label", b.find(t, "twin").Fault.Err(), wire.Invalid)
	_, err := b.Service.Generate(t.Context(), &wire.GenerateRequest{Key: "twin", ID: "x"})
	b.wants(t, "a third", err, wire.Invalid)

	d := b.definition("second", wire.KeyP256, 0x1041)
	d.PKCS11.KeyLabel, d.PKCS11.KeyID = "twin", "02"
	b.configure(t, d)
	info := b.find(t, "second")
	if info.Fault != nil {
		t.Fatalf("label and id together: %+v", info.Fault)
	}
	if _, err := b.sign(t, "second", parse(t, info.PublicKey), wire.ECDSAP256SHA256); err != nil {
		t.Error(err)
	}
}

// neverOverAnOrphan: a public key alone keeps its label, for on some tokens a
// second pair replaces what has the same name.
func neverOverAnOrphan(t *testing.T, b *Backend) {
	if b.Tool == nil {
		return
	}
	b.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "orphan", "--id", "05")
	b.Tool(t, "--delete-object", "--type", "privkey", "--id", "05")
	b.configure(t, b.definition("orphan", wire.KeyP256, 0x1041))
	_, err := b.Service.Generate(t.Context(), &wire.GenerateRequest{Key: "orphan", ID: "x"})
	b.wants(t, "a key over an orphan", err, wire.Invalid)
}
