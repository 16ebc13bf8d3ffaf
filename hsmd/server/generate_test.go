package server_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"strings"
	"sync"
	"testing"

	"github.com/hsmpki/hsmpki/wire"
)

// clients adds two clients: pkid may generate alone, other everything but that.
const clients = everything + `
client "pkid" {
  user         = "901"
  capabilities = ["generate"]
}
client "other" {
  user         = "902"
  capabilities = ["sign", "test", "configure"]
  keys         = ["root", "learn"]
}
`

func TestGenerateManagedKey(t *testing.T) {
	h := start(t, everything)
	ask := &wire.GenerateRequest{Key: "root", ID: "req-1"}
	made := must[*wire.GenerateResponse](t)(h.as(own).Generate(ctx, ask))
	again := must[*wire.GenerateResponse](t)(h.as(own).Generate(ctx, ask))
	if !made.Created || again.Created || !bytes.Equal(made.Key.PublicKey, again.Key.PublicKey) || len(made.Key.Schemes) != 1 {
		t.Errorf("made %+v, again %+v", made, again)
	}
	if made.Key.Definition.PKCS11.PIN != "" {
		t.Error("the PIN is shown")
	}
	must[*wire.ConfigureResponse](t)(h.configure(defined("bare", "bare")))
	d := defined("bare", "bare")
	d.AllowGenerateKey = false
	must[*wire.ConfigureResponse](t)(h.configure(d))
	for _, c := range []struct {
		req  wire.GenerateRequest
		code wire.Code
		text string
	}{
		{wire.GenerateRequest{Key: "bare", ID: "1"}, wire.Denied, "no allow_generate_key"},
		{wire.GenerateRequest{Key: "none", ID: "1"}, wire.UnknownKey, ""},
		{wire.GenerateRequest{Key: "root"}, wire.Invalid, "the id of a generate request"},
		{wire.GenerateRequest{Key: "root", ID: "A"}, wire.Invalid, "the id of a generate request"},
		{wire.GenerateRequest{Key: "root", ID: strings.Repeat("a", 65)}, wire.Invalid, "the id of a generate request"},
		{wire.GenerateRequest{Key: "root", ID: "1", Type: wire.KeyP256}, wire.Invalid, "is its definition's"},
		{wire.GenerateRequest{ID: "1", Type: "RSA-1024"}, wire.Invalid, `key type "RSA-1024"`},
	} {
		_, err := h.as(own).Generate(ctx, &c.req)
		want(t, err, c.code, c.text)
	}
	if n := h.token.count("generate"); n != 1 {
		t.Errorf("the token made %d keys, want 1", n)
	}
}

func TestInternalKeyBelongsToItsMaker(t *testing.T) {
	h := start(t, clients)
	made := must[*wire.GenerateResponse](t)(h.as(pkid).Generate(ctx, &wire.GenerateRequest{ID: "4f2e", Type: wire.KeyP256}))
	name := made.Key.Definition.Name
	if name != "internal-4f2e" || made.Key.Source != wire.SourceInternal || !made.Created || made.Key.Definition.PKCS11.KeyLabel != name {
		t.Fatalf("made %+v", made.Key)
	}
	h.restart()
	again := must[*wire.GenerateResponse](t)(h.as(pkid).Generate(ctx, &wire.GenerateRequest{ID: "4f2e", Type: wire.KeyP256}))
	if again.Created || !bytes.Equal(again.Key.PublicKey, made.Key.PublicKey) || again.Key.Definition.UUID != made.Key.Definition.UUID {
		t.Errorf("asked again after a restart: %+v", again)
	}
	_, err := h.as(pkid).Generate(ctx, &wire.GenerateRequest{ID: "4f2e", Type: wire.KeyP384})
	want(t, err, wire.Invalid, "the id is that of another key")

	// pkid signs with it though its block gives it generate alone.
	id := sha256.Sum256(made.Key.PublicKey)
	certificate, _ := messages(t, x509.ECDSAWithSHA256, throwaway(t), now)
	must[*wire.SignResponse](t)(h.as(pkid).Sign(ctx, &wire.SignRequest{Key: name, SPKI: id[:], Scheme: wire.ECDSAP256SHA256, Message: certificate}))
	must[*wire.TestResponse](t)(h.as(pkid).Test(ctx, &wire.TestRequest{Key: name}))
	_, err = h.as(pkid).Test(ctx, &wire.TestRequest{Key: "root"})
	want(t, err, wire.Denied, `no "test" on key "root"`)

	_, err = h.as(other).Sign(ctx, &wire.SignRequest{Key: name, SPKI: id[:], Scheme: wire.ECDSAP256SHA256, Message: certificate})
	want(t, err, wire.Denied, `no "sign" on key "internal-4f2e"`)
	_, err = h.as(other).Generate(ctx, &wire.GenerateRequest{ID: "4f2e", Type: wire.KeyP256})
	want(t, err, wire.Denied, `no "generate"`)
	_, err = h.as(other).Forget(ctx, &wire.ForgetRequest{Key: name})
	want(t, err, wire.Denied, `no "configure"`)

	// Nor by another name for it.
	d := defined("learn", name)
	_, err = h.as(other).Configure(ctx, &wire.ConfigureRequest{Definition: d})
	want(t, err, wire.Denied, "would be the key that hsmd itself names")
	h.token.ids["02"] = name
	d.AllowGenerateKey, d.PKCS11.KeyLabel, d.PKCS11.KeyID = false, "", "02"
	must[*wire.ConfigureResponse](t)(h.as(other).Configure(ctx, &wire.ConfigureRequest{Definition: d}))
	_, err = h.as(other).Test(ctx, &wire.TestRequest{Key: "learn"})
	want(t, err, wire.Denied, "is the key that hsmd itself names")

	must[*wire.ForgetResponse](t)(h.as(pkid).Forget(ctx, &wire.ForgetRequest{Key: name}))
	if h.token.keys[name] == nil {
		t.Error("forgetting destroyed the key")
	}
}

func TestInternalKeysNeedBothBlocks(t *testing.T) {
	for _, without := range []string{"wire_keys { libraries = [\"soft\"] }", everything[strings.Index(everything, "internal_keys"):strings.Index(everything, "managed_key")]} {
		h := start(t, strings.Replace(everything, without, "", 1))
		_, err := h.as(own).Generate(ctx, &wire.GenerateRequest{ID: "1", Type: wire.KeyP256})
		want(t, err, wire.Denied, "no internal_keys and wire_keys blocks")
	}
}

func TestGenerateOnceUnderLoad(t *testing.T) {
	h := start(t, everything)
	var running sync.WaitGroup
	for range 20 {
		running.Go(func() {
			if _, err := h.as(own).Generate(ctx, &wire.GenerateRequest{ID: "same", Type: wire.KeyP256}); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if n := h.token.count("generate"); n != 1 {
		t.Errorf("the token was asked for %d keys with one id", n)
	}
}
