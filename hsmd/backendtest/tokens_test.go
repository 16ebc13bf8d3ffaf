package backendtest_test

import (
	"os"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/backendtest"
	"github.com/hsmpki/hsmpki/test/token"
	"github.com/hsmpki/hsmpki/wire"
)

// backend is a token behind a process of its own.
func backend(t *testing.T, k *token.Token, types, lacks []wire.KeyType) *backendtest.Backend {
	t.Helper()
	config := worker(k.Library)
	config.InitArgs = k.InitArgs
	return &backendtest.Backend{Service: serving(t, k.Command(self(t))), Worker: config, Types: types, Lacks: lacks,
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

// TestTPM runs the suite on a TPM 2.0, which is slow, has no RSA of 4096 bits,
// and whose library does not sign with P-521.
func TestTPM(t *testing.T) {
	tpm := token.NewTPM(t)
	backendtest.Run(t, func(t *testing.T) *backendtest.Backend {
		k := tpm.Add(t)
		b := backend(t, k, []wire.KeyType{wire.KeyRSA2048, wire.KeyP256, wire.KeyP384}, []wire.KeyType{wire.KeyRSA4096, wire.KeyEd25519})
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
