package server_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/backendtest"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// TestTokenThatHashes: where the token hashes, hsmd recognises what it signs as
// ever, and a long message that it refuses is not signed, though the token has
// had all of it but the end.
func TestTokenThatHashes(t *testing.T) {
	token := softhsm.New(t)
	module := faultyLibrary(t, token.Library, token.Conf)
	module.Set(t, faultmodule.Mechanisms(0x0, 0x40, 0x41, 0x42))
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
	client, _, _ := serveLibrary(t, cfg)
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

// faultyLibrary is SoftHSM behind the fault module, for this process.
func faultyLibrary(t *testing.T, library, conf string) *faultmodule.Module {
	t.Helper()
	module := faultmodule.New(t, library)
	t.Setenv("SOFTHSM2_CONF", conf)
	for name, value := range module.Env {
		t.Setenv(name, value)
	}
	return module
}

// hashingCopies is a configuration of an RSA key that is on two tokens of a module.
func hashingCopies(t *testing.T) (cfg *config.HSMD, module *faultmodule.Module, key *rsa.PrivateKey, second *softhsm.Token) {
	t.Helper()
	store := softhsm.NewStore(t)
	first, second := store.Add(t, "first"), store.Add(t, "second")
	key = must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	putRSA(t, first, key)
	putRSA(t, second, key)
	module = faultyLibrary(t, store.Library, store.Conf)
	cfg, err := config.ParseHSMD("hsmd.hcl", fmt.Appendf(nil, `
kms_library "pkcs11" {
  name    = "hashing"
  library = %q
}
managed_key "pkcs11" "rsa" {
  library     = "hashing"
  token_label = "first"
  pin         = %q
  key_label   = "rsa"
  mechanism   = 1
  copy {
    token_label = "second"
    pin         = %q
  }
}
`, module.Library, first.PIN, second.PIN))
	if err != nil {
		t.Fatal(err)
	}
	return cfg, module, key, second
}

func putRSA(t *testing.T, token *softhsm.Token, key *rsa.PrivateKey) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, x509.MarshalPKCS1PrivateKey(key), 0o600); err != nil {
		t.Fatal(err)
	}
	token.Tool(t, "--write-object", path, "--type", "privkey", "--label", "rsa", "--id", "01", "--usage-sign")
}

// TestCopiesThatHash: a long message goes to a copy that hashes where all do, and
// a digest to another where one takes it.
func TestCopiesThatHash(t *testing.T) {
	cfg, module, key, _ := hashingCopies(t)
	_, list := messages(t, x509.SHA256WithRSA, key, time.Now())
	spki := der(t, key)
	for name, c := range map[string]struct {
		faults  []faultmodule.Fault
		updates bool
	}{
		"both hash":  {[]faultmodule.Fault{faultmodule.Mechanisms(0x40)}, true},
		"one hashes": {[]faultmodule.Fault{faultmodule.Return("C_Sign", 0x70).Nth(1)}, false}, // CKR_MECHANISM_INVALID
	} {
		module.Set(t, c.faults...)
		client, log, _ := serveLibrary(t, cfg)
		info := must[*wire.DescribeResponse](t)(client.Describe(ctx, &wire.DescribeRequest{Key: "rsa", Find: true})).Keys[0]
		if !bytes.Equal(info.PublicKey, spki) || len(info.Copies) != 2 || !info.Copies[0].Found || !info.Copies[1].Found {
			t.Fatalf("%s: %+v, %s", name, info, log)
		}
		updates := module.Calls(t, "C_SignUpdate")
		for range 4 {
			answer, err := client.Sign(ctx, &wire.SignRequest{Key: "rsa", SPKI: spkiID(t, key.Public()), Scheme: wire.RSAPKCS1SHA256, Parts: bytes.NewReader(list)})
			if err == nil {
				err = backendtest.Verify(spki, wire.RSAPKCS1SHA256, list, answer.Signature)
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if hashed := module.Calls(t, "C_SignUpdate") > updates; hashed != c.updates {
			t.Errorf("%s: hashed on the token: %t", name, hashed)
		}
		for _, copy := range must[*wire.StatusResponse](t)(client.Status(ctx, &wire.StatusRequest{})).Copies[0].Copies {
			if copy.Fault != nil || copy.UnderWay != 0 {
				t.Errorf("%s: %+v", name, copy)
			}
		}
	}
}

// TestNoOtherPairForALongMessage: a token gets another key pair under the name,
// and hsmd has found it there and not compared it yet. A long message does not go
// to it.
func TestNoOtherPairForALongMessage(t *testing.T) {
	cfg, module, key, second := hashingCopies(t)
	module.Set(t, faultmodule.Mechanisms(0x40))
	client, _, srv := serveLibrary(t, cfg)
	must[*wire.DescribeResponse](t)(client.Describe(ctx, &wire.DescribeRequest{Key: "rsa", Find: true}))
	other := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	second.Tool(t, "--delete-object", "--type", "privkey", "--label", "rsa")
	putRSA(t, second, other)
	place := srv.State().Keys.Lookup("rsa").Copies[1]
	seen := must[*wire.DescribeResponse](t)(place.Library.Backend.Describe(ctx, &wire.DescribeRequest{Key: place.Handle, Find: true})).Keys[0]
	found := must[*managedkey.Public](t)(managedkey.NewPublic(&place.Definition, seen.PublicKey))
	if err := found.Offered(seen.Schemes, seen.Hashed); err != nil || !bytes.Equal(seen.PublicKey, der(t, other)) {
		t.Fatalf("%+v, %v", seen, err)
	}
	place.Found(found)
	_, list := messages(t, x509.SHA256WithRSA, key, time.Now())
	for range 4 {
		answer, err := client.Sign(ctx, &wire.SignRequest{Key: "rsa", SPKI: spkiID(t, key.Public()), Scheme: wire.RSAPKCS1SHA256, Parts: bytes.NewReader(list)})
		if err == nil {
			err = backendtest.Verify(der(t, key), wire.RSAPKCS1SHA256, list, answer.Signature)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// TestCopyThatCannotBeToldOf: a copy whose library cannot be told of its key is
// left aside for long messages too.
func TestCopyThatCannotBeToldOf(t *testing.T) {
	cfg, module, key, _ := hashingCopies(t)
	module.Set(t, faultmodule.Mechanisms(0x40))
	client, _, srv := serveLibrary(t, cfg)
	must[*wire.DescribeResponse](t)(client.Describe(ctx, &wire.DescribeRequest{Key: "rsa", Find: true}))
	gone := srv.State().Keys.Lookup("rsa").Copies[1]
	library := *gone.Library
	library.Path = filepath.Join(t.TempDir(), "another.so") // which the worker does not take
	gone.Library = &library
	gone.Untell()
	_, list := messages(t, x509.SHA256WithRSA, key, time.Now())
	failed := 0
	for range 6 {
		if _, err := client.Sign(ctx, &wire.SignRequest{Key: "rsa", SPKI: spkiID(t, key.Public()), Scheme: wire.RSAPKCS1SHA256, Parts: bytes.NewReader(list)}); err != nil {
			failed++
		}
	}
	if failed != 1 || gone.Away() == nil {
		t.Errorf("%d of 6 failed, and the copy is away: %+v", failed, gone.Away())
	}
}
