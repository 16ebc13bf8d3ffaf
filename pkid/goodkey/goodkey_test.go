package goodkey_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/goodkey"
)

// good is one key of each kind.
var good = sync.OnceValue(func() map[string]crypto.PublicKey {
	keys := map[string]crypto.PublicKey{}
	for _, bits := range []int{2048, 3072} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		keys["RSA"+map[int]string{2048: "", 3072: "-3072"}[bits]] = &key.PublicKey
	}
	for _, curve := range curves {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			panic(err)
		}
		keys[curve.Params().Name] = &key.PublicKey
	}
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	keys["Ed25519"] = public
	for _, set := range []mldsa.Parameters{mldsa.MLDSA44(), mldsa.MLDSA65(), mldsa.MLDSA87()} {
		key, err := mldsa.GenerateKey(set)
		if err != nil {
			panic(err)
		}
		keys[set.String()] = key.PublicKey()
	}
	return keys
})

var curves = []elliptic.Curve{elliptic.P224(), elliptic.P256(), elliptic.P384(), elliptic.P521()}

// refused holds an error against the words it has to have; "" is for none.
func refused(t *testing.T, what string, err error, words string) {
	t.Helper()
	switch {
	case words == "" && err != nil:
		t.Errorf("%s: refused: %v", what, err)
	case words != "" && err == nil:
		t.Errorf("%s: accepted; want %q", what, words)
	case words != "" && !strings.Contains(err.Error(), words):
		t.Errorf("%s: %v; want %q", what, err, words)
	}
}

func TestGoodKeys(t *testing.T) {
	for name, key := range good() {
		refused(t, name, new(goodkey.Policy).Check(key), "")
		refused(t, name, new(goodkey.Policy).CheckLeaf(key), "")
	}
}

func TestOtherKinds(t *testing.T) {
	for _, key := range []any{nil, struct{}{}, good()["RSA"].(*rsa.PublicKey).N, *good()["RSA"].(*rsa.PublicKey), "key"} {
		refused(t, "another kind", goodkey.Usable(key), "unsupported type of public key")
	}
	refused(t, "nil RSA key", goodkey.Usable((*rsa.PublicKey)(nil)), "no modulus")
	refused(t, "nil ECDSA key", goodkey.Usable((*ecdsa.PublicKey)(nil)), "unsupported curve")
	refused(t, "nil Ed25519 key", goodkey.Usable(ed25519.PublicKey(nil)), "32 octets")
}

// TestPolicy asks what others know of a key.
func TestPolicy(t *testing.T) {
	for name, key := range good() {
		spki, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		var asked [sha256.Size]byte
		compromised := &goodkey.Policy{Compromised: func(sum [sha256.Size]byte) bool { asked = sum; return true }}
		refused(t, name, compromised.Check(key), "compromised")
		if asked != sha256.Sum256(spki) {
			t.Errorf("%s: asked for %x", name, asked)
		}
		ours := &goodkey.Policy{CA: func(other []byte) bool { return string(other) == string(spki) }}
		refused(t, name, ours.CheckLeaf(key), "that of a CA")
		refused(t, name, ours.Check(key), "")
	}
}

// readKeys reads the PEM blocks of a file of testdata.
func readKeys(t testing.TB, name string) []*rsa.PublicKey {
	t.Helper()
	rest, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var keys []*rsa.PublicKey
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.(*rsa.PublicKey))
	}
	if len(keys) == 0 {
		t.Fatalf("no keys in %s", name)
	}
	return keys
}
