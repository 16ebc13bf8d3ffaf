package server_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/backendtest"
	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// TestTokenThatHashes: where the token hashes, hsmd recognises what it signs as
// ever, and a long message that it refuses is not signed, though the token has
// had all of it but the end.
func TestTokenThatHashes(t *testing.T) {
	token := softhsm.New(t)
	module := faultmodule.New(t, token.Library)
	module.Set(t, faultmodule.Mechanisms(0x0, 0x40, 0x41, 0x42))
	t.Setenv("SOFTHSM2_CONF", token.Conf)
	for name, value := range module.Env {
		t.Setenv(name, value)
	}
	cfg, err := config.ParseHSMD("hsmd.hcl", fmt.Appendf(nil, `
kms_library "pkcs11" {
  name    = "hashing"
  library = %q
}
managed_key "pkcs11" "rsa" {
  library            = "hashing"
  token_label        = %q
  pin                = %q
  key_label          = "rsa"
  mechanism          = 1
  key_bits           = 2048
  allow_generate_key = true
}
`, module.Library, token.Label, token.PIN))
	if err != nil {
		t.Fatal(err)
	}
	client, _ := serveLibrary(t, cfg)
	made := must[*wire.GenerateResponse](t)(client.Generate(ctx, &wire.GenerateRequest{Key: "rsa", ID: "x"}))
	if len(made.Key.Schemes) != 3 || len(made.Key.Hashed) != 0 {
		t.Errorf("hsmd tells its client the schemes %v, and that the token hashes %v", made.Key.Schemes, made.Key.Hashed)
	}
	if _, err := client.Test(ctx, &wire.TestRequest{Key: "rsa"}); err != nil {
		t.Error(err)
	}
	throwaway := newKey(&wire.PKCS11Definition{KeyBits: 2048})
	certificate, list := messages(t, x509.SHA384WithRSA, throwaway, time.Now())
	_, ahead := messages(t, x509.SHA384WithRSA, throwaway, time.Now().Add(time.Hour))
	id := spkiID(t, must[any](t)(x509.ParsePKIXPublicKey(made.Key.PublicKey)))
	sign := func(signed []byte, message io.Reader) error {
		req := &wire.SignRequest{Key: "rsa", SPKI: id, Scheme: wire.RSAPKCS1SHA384, Parts: message}
		if message == nil {
			req.Message = signed
		}
		answer, err := client.Sign(ctx, req)
		if err != nil {
			return err
		}
		return backendtest.Verify(made.Key.PublicKey, wire.RSAPKCS1SHA384, signed, answer.Signature)
	}
	for what, err := range map[string]error{
		"a certificate":          sign(certificate, nil),
		"a certificate in parts": sign(certificate, &slow{certificate}),
		"a list in parts":        sign(list, bytes.NewReader(list)),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}

	finals, signs := module.Calls(t, "C_SignFinal"), module.Calls(t, "C_Sign")
	want(t, sign(ahead, bytes.NewReader(ahead)), wire.Denied, "thisUpdate")
	more := append(bytes.Clone(list), 0)
	want(t, sign(more, bytes.NewReader(more)), wire.Invalid, "followed by other octets")
	less := list[:len(list)-1]
	want(t, sign(less, bytes.NewReader(less)), wire.Invalid, "ends early")
	if n := module.Calls(t, "C_SignFinal") - finals + module.Calls(t, "C_Sign") - signs; n != 0 {
		t.Errorf("the token signed %d times what hsmd refused", n)
	}
	module.Add(t, faultmodule.Return("C_SignUpdate", 0x30).Nth(2)) // CKR_DEVICE_ERROR
	want(t, sign(list, bytes.NewReader(list)), wire.Unavailable, "C_SignUpdate: CKR_DEVICE_ERROR")
	module.Set(t, faultmodule.Mechanisms(0x40, 0x41, 0x42), faultmodule.Flip("C_SignFinal"))
	want(t, sign(list, bytes.NewReader(list)), wire.Internal, "does not verify")
	module.Set(t, faultmodule.Mechanisms(0x40, 0x41, 0x42))
	if err := sign(list, bytes.NewReader(list)); err != nil {
		t.Error(err)
	}
}
