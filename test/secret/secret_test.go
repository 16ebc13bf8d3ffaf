package secret_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hsmpki/hsmpki/test/secret"
)

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// planted are secrets as a program could log or store them.
func planted(t *testing.T) map[string]string {
	ec := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	der := must[[]byte](t)(x509.MarshalPKCS8PrivateKey(ec))
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	secret.AddFields(map[string]any{"data": map[string]any{"private_key": text, "secret_id": "8a1f9c1e-secret-id", "list": []any{map[string]any{"pin": "pin-over-the-api"}}}})
	secret.AddConfig("managed_key \"pkcs11\" \"a\" {\n  pin = \"pin-of-a-file-71\"\n  secret_key = \"file:/etc/not-a-secret\"\n}\n")
	raw := must[[]byte](t)(ec.Bytes())
	all := map[string]string{
		"PIN":                   "login with pin-of-a-file-71 failed",
		"PIN in JSON":           `{"pin":"pin-over-the-api"}`,
		"PIN, hexadecimal":      hex.EncodeToString([]byte("pin-over-the-api")),
		"PIN, base64":           base64.StdEncoding.EncodeToString([]byte("pin-over-the-api")),
		"secret id":             "x8a1f9c1e-secret-idx",
		"token":                 "Bearer hvs.CAESIJhYd2Vyc2lvbi0xLXRva2Vu",
		"PEM":                   text,
		"DER":                   string(der),
		"base64 of DER":         base64.StdEncoding.EncodeToString(der),
		"hexadecimal of DER":    hex.EncodeToString(der),
		"number of the key":     string(raw),
		"a struct as it is":     fmt.Sprintf("{D:+%v}", new(big.Int).SetBytes(raw)),
		"number in hexadecimal": fmt.Sprintf("%x", raw),
		"SEC 1":                 string(must[[]byte](t)(x509.MarshalECPrivateKey(ec))),
		"SEC 1 in base64":       base64.StdEncoding.EncodeToString(must[[]byte](t)(x509.MarshalECPrivateKey(ec))),
		"RSA, PKCS#1":           string(x509.MarshalPKCS1PrivateKey(must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048)))),
		"RSA, PKCS#8 in base64": base64.StdEncoding.EncodeToString(must[[]byte](t)(x509.MarshalPKCS8PrivateKey(must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))))),
		"another P-384 key":     string(must[[]byte](t)(x509.MarshalECPrivateKey(must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))))),
		"Ed25519":               string(must[[]byte](t)(x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(make([]byte, 32))))),
		"ML-DSA":                string(must[[]byte](t)(x509.MarshalPKCS8PrivateKey(must[*mldsa.PrivateKey](t)(mldsa.GenerateKey(mldsa.MLDSA44()))))),
	}
	return all
}

func TestPlantedSecretsAreFound(t *testing.T) {
	for what, text := range planted(t) {
		for where, content := range map[string]string{"alone": text, "between": strings.Repeat("0", 1000) + text + strings.Repeat("z", 1000)} {
			found := secret.Find([]byte(content))
			if len(found) == 0 {
				t.Errorf("%s, %s: not found", what, where)
			}
			for _, f := range found {
				if strings.Contains(f, text) {
					t.Errorf("%s: the secret is shown: %s", what, f)
				}
			}
		}
	}
	public := `{"serial":"7c:01","accessor":"hmac-sha256:0a","path":"/etc/not-a-secret","text":"hvs. is how tokens begin","key":"-----BEGIN PUBLIC KEY-----"}`
	if found := secret.Find([]byte(public)); len(found) > 0 {
		t.Errorf("found in what has none: %q", found)
	}
}

// TestPlacesThatAreSearched plants a secret in each kind of place.
func TestPlacesThatAreSearched(t *testing.T) {
	secret.Add("a planted secret", "planted-secret-5577")
	dir := t.TempDir()
	folder := filepath.Join(dir, "state", "deep")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "audit.log"), []byte("… planted-secret-5577 …"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Compressed, so that no file has it as it is.
	store := filepath.Join(dir, "store")
	db := must[*pebble.DB](t)(pebble.Open(store, &pebble.Options{}))
	value := strings.Repeat("planted-secret-", 100) + "planted-secret-5577"
	if err := db.Set([]byte("record"), []byte(value), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	all := func(string) bool { return false }
	for where, look := range map[string]func(testing.TB){
		"a file":   func(t testing.TB) { secret.LookIn(t, dir, all) },
		"a record": func(t testing.TB) { secret.LookInStores(t, dir) },
		"a log":    func(t testing.TB) { secret.Look(t, "log", []byte("pin=planted-secret-5577")) },
	} {
		heard := &listener{TB: t}
		look(heard)
		if heard.failures == 0 {
			t.Errorf("%s: not found", where)
		}
	}
	heard := &listener{TB: t}
	secret.LookIn(heard, filepath.Join(dir, "state"), func(path string) bool { return filepath.Base(path) == "audit.log" })
	if heard.failures > 0 {
		t.Error("what has secrets by its purpose is searched")
	}
}

// listener counts a test's failures in place of failing.
type listener struct {
	testing.TB
	failures int
}

func (l *listener) Errorf(string, ...any) { l.failures++ }
func (l *listener) Error(...any)          { l.failures++ }
