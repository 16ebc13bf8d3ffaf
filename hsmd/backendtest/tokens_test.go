package backendtest_test

import (
	"errors"
	"os"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/backendtest"
	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/token"
	"github.com/hsmpki/hsmpki/wire"
)

const ckrDataLenRange = 0x21

// backend is a token behind a process of its own.
func backend(t *testing.T, k *token.Token, types, lacks []wire.KeyType) *backendtest.Backend {
	t.Helper()
	config := worker(k.Library)
	config.InitArgs = k.InitArgs
	again := func(t *testing.T) wire.Service { return serving(t, k.Command(self(t))) }
	return &backendtest.Backend{Service: again(t), Again: again, Worker: config, Types: types, Lacks: lacks,
		Key: wire.PKCS11Definition{Library: "library", TokenLabel: k.Label, PIN: k.PIN}}
}

// self is the test program by a path that means the same for whoever starts it.
func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestNSS runs the suite on NSS softokn, which takes a parameter string and
// replaces a key pair by the next with the same CKA_ID.
func TestNSS(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) *backendtest.Backend {
		return backend(t, token.NSS(t, "pass-4e77"),
			[]wire.KeyType{wire.KeyRSA2048, wire.KeyP256, wire.KeyP384, wire.KeyP521}, []wire.KeyType{wire.KeyEd25519})
	})
}

// TestNSSWithoutPIN: a token that wants no login is used without one.
func TestNSSWithoutPIN(t *testing.T) {
	b := backend(t, token.NSS(t, ""), nil, nil)
	d := onNSS("key", b.Key)
	d.PKCS11.Login = "none"
	if _, err := b.Service.Configure(t.Context(), &wire.ConfigureRequest{Definition: d, Worker: b.Worker}); err != nil {
		t.Fatal(err)
	}
	made, err := b.Service.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	atOnce(16, func(int) {
		if err := sign(t.Context(), b.Service, "key", made.Key.PublicKey); err != nil {
			t.Error(err)
		}
	})
}

func onNSS(name string, p wire.PKCS11Definition) wire.Definition {
	p.KeyLabel, p.Mechanism, p.Curve = name, 0x1041, "P256"
	return wire.Definition{Type: "pkcs11", Name: name, AllowGenerateKey: true, PKCS11: &p}
}

// TestCase33_AfterAFailedSign: NSS keeps a session in the middle of a signature
// that failed, so it is not used again, also where it is the only one; and RSA
// is not tried with an EC key.
func TestCase33_AfterAFailedSign(t *testing.T) {
	k := token.NSS(t, "pass-4e77")
	faults := faultmodule.New(t, k.Library)
	k.Library, k.Env = faults.Library, faults.EnvList()
	b := backend(t, k, nil, nil)
	b.Worker.MaxSessions = 1
	for _, d := range []wire.Definition{onNSS("key", b.Key), onNSS("rsa", b.Key)} {
		if d.Name == "rsa" {
			d.PKCS11.KeyLabel, d.PKCS11.Mechanism, d.PKCS11.Curve = "key", 0x1, ""
		}
		if _, err := b.Service.Configure(t.Context(), &wire.ConfigureRequest{Definition: d, Worker: b.Worker}); err != nil {
			t.Fatal(err)
		}
	}
	made, err := b.Service.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if f := fault(t, b.Service, "rsa"); f == nil || f.Code != wire.Invalid {
		t.Errorf("RSA with an EC key: %+v", f)
	}
	faults.Set(t, faultmodule.Return("C_Sign", ckrDataLenRange).Nth(1))
	if err := sign(t.Context(), b.Service, "key", made.Key.PublicKey); !errors.Is(err, wire.Internal) {
		t.Errorf("the failing signature: %v", err)
	}
	for range 3 {
		if err := sign(t.Context(), b.Service, "key", made.Key.PublicKey); err != nil {
			t.Errorf("after it: %v", err)
		}
	}
}

// TestTPM runs the suite on a TPM 2.0, which is slow, has no RSA of 4096 bits,
// and whose library does not sign with P-521.
func TestTPM(t *testing.T) {
	tpm := token.NewTPM(t)
	backendtest.Run(t, func(t *testing.T) *backendtest.Backend {
		k := tpm.Add(t)
		b := backend(t, k, []wire.KeyType{wire.KeyRSA2048, wire.KeyRSA3072, wire.KeyP256, wire.KeyP384}, []wire.KeyType{wire.KeyRSA4096, wire.KeyEd25519})
		b.Tool = k.Tool
		return b
	})
}

// TestOpenCryptoki runs the suite on a token with RSA alone, without many of the
// optional attributes (case 37).
func TestOpenCryptoki(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) *backendtest.Backend {
		k := token.NewOpenCryptoki(t)
		b := backend(t, k.Token, []wire.KeyType{wire.KeyRSA2048, wire.KeyRSA3072},
			[]wire.KeyType{wire.KeyP256, wire.KeyP384, wire.KeyP521, wire.KeyEd25519})
		b.Tool = k.Tool
		return b
	})
}
