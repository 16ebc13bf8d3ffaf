package backendtest_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/wire"
)

// spki is the public key of a key pair as OpenSC's tool reads it.
func (f *faulty) spki(t *testing.T, label string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "public")
	f.Tool(t, "--read-object", "--type", "pubkey", "--label", label, "--output-file", path)
	der, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// certify puts a certificate for a public key on the token.
func (f *faulty) certify(t *testing.T, spki []byte, label, id string) {
	t.Helper()
	issuer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: label}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, issuer)
	path := filepath.Join(t.TempDir(), "certificate")
	if err == nil {
		err = os.WriteFile(path, der, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Tool(t, "--write-object", path, "--type", "cert", "--label", label, "--id", id)
}

// TestCase26_NoPublicObject: the public key is taken from wherever it is, and
// proven.
func TestCase26_NoPublicObject(t *testing.T) {
	hidden := faultmodule.HideClass(ckoPublicKey)
	noInfo := faultmodule.HideAttribute(ckaPublicKeyInfo, 3)

	t.Run("in the definition", func(t *testing.T) {
		f := newFaulty(t)
		f.pair(t, "key")
		want := f.spki(t, "key")
		f.Set(t, hidden, noInfo)
		f.define(t, f.key("without"), func(p *wire.PKCS11Definition) { p.KeyLabel = "key" })
		_, err := f.look(t, "without")
		f.wants(t, err, wire.Invalid, "no public key and no certificate", "public_key")
		f.define(t, f.key("key"), func(p *wire.PKCS11Definition) { p.PublicKey = want })
		if info := f.works(t, "key"); !bytes.Equal(info.PublicKey, want) {
			t.Error("another public key was found")
		}
	})
	t.Run("in a certificate", func(t *testing.T) {
		f := newFaulty(t)
		f.pair(t, "key")
		want := f.spki(t, "key")
		f.certify(t, want, "its certificate", "01")
		f.Set(t, hidden, noInfo)
		f.define(t, f.key("key"), nil)
		if info := f.works(t, "key"); !bytes.Equal(info.PublicKey, want) {
			t.Error("another public key was found")
		}
	})
	t.Run("in CKA_PUBLIC_KEY_INFO", func(t *testing.T) {
		f := newFaulty(t)
		f.pair(t, "key")
		want := f.spki(t, "key")
		f.Set(t, hidden, faultmodule.Attribute(ckaPublicKeyInfo, 3, want...))
		f.define(t, f.key("key"), nil)
		if info := f.works(t, "key"); !bytes.Equal(info.PublicKey, want) {
			t.Error("another public key was found")
		}
	})
	t.Run("in the private object", func(t *testing.T) {
		f := newFaulty(t)
		f.Tool(t, "--keypairgen", "--key-type", "rsa:2048", "--label", "rsa", "--id", "02")
		f.Set(t, hidden, noInfo)
		f.define(t, f.rsa("rsa", 1), nil)
		f.works(t, "rsa")
	})
}

// TestPublicKeysAreProven: a token that pairs wrongly does not mislead.
func TestPublicKeysAreProven(t *testing.T) {
	f := newFaulty(t)
	f.pair(t, "key")
	f.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "other", "--id", "02")
	own, others := f.spki(t, "key"), f.spki(t, "other")
	f.certify(t, others, "a wrong certificate", "01")
	f.Set(t, faultmodule.HideClass(ckoPublicKey), faultmodule.HideAttribute(ckaPublicKeyInfo, 3))
	f.define(t, f.key("key"), nil)
	_, err := f.look(t, "key")
	f.wants(t, err, wire.Invalid, "is not the private key's")

	f.define(t, f.key("given"), func(p *wire.PKCS11Definition) { p.KeyLabel, p.PublicKey = "key", own })
	if info := f.works(t, "given"); !bytes.Equal(info.PublicKey, own) {
		t.Error("the certificate's public key was taken")
	}
	f.Set(t)
	f.define(t, f.key("another"), func(p *wire.PKCS11Definition) { p.KeyLabel, p.PublicKey = "key", others })
	_, err = f.look(t, "another")
	f.wants(t, err, wire.Invalid, "is not the private key's")

	// The right public object is beside a wrong one of the same CKA_ID.
	path := filepath.Join(t.TempDir(), "public")
	if err := os.WriteFile(path, others, 0o600); err != nil {
		t.Fatal(err)
	}
	f.Tool(t, "--write-object", path, "--type", "pubkey", "--label", "intruder", "--id", "01")
	f.define(t, f.key("beside"), func(p *wire.PKCS11Definition) { p.KeyLabel = "key" })
	if info := f.works(t, "beside"); !bytes.Equal(info.PublicKey, own) {
		t.Error("the intruder was taken")
	}
}

// TestKnownKeysAreNotProvenAgain: looking for a key that has not changed asks the
// token for no signature.
func TestKnownKeysAreNotProvenAgain(t *testing.T) {
	f := newFaulty(t)
	f.pair(t, "key")
	f.define(t, f.key("key"), nil)
	f.works(t, "key")
	before := f.Calls(t, "C_Sign")
	if _, err := f.look(t, "key"); err != nil {
		t.Error(err)
	}
	if n := f.Calls(t, "C_Sign") - before; n != 0 {
		t.Errorf("%d signatures for a key that is known", n)
	}
}

// TestCase27_LabelsDiffer: public and private object are paired by CKA_ID.
func TestCase27_LabelsDiffer(t *testing.T) {
	f := newFaulty(t)
	f.pair(t, "public half")
	want := f.spki(t, "public half")
	f.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "private half", "--id", "02") // whose public half has this label
	f.define(t, f.key("by-id"), func(p *wire.PKCS11Definition) { p.KeyLabel, p.KeyID = "", "01" })
	f.Set(t, faultmodule.Attribute(0x3, 3, []byte("private half")...)) // CKA_LABEL of private keys
	if info := f.works(t, "by-id"); !bytes.Equal(info.PublicKey, want) {
		t.Error("another public key was found")
	}
}

// TestCase28_ECPoints: however a token writes a point, it is the same key.
func TestCase28_ECPoints(t *testing.T) {
	f := newFaulty(t)
	for label, kind := range map[string]string{"P256": "EC:prime256v1", "P384": "EC:secp384r1", "P521": "EC:secp521r1"} {
		f.Set(t)
		f.Tool(t, "--keypairgen", "--key-type", kind, "--label", label, "--id", map[string]string{"P256": "11", "P384": "12", "P521": "13"}[label])
		var want []byte
		for _, form := range []string{"", "raw", "bits", "short"} {
			f.Set(t)
			if form != "" {
				f.Set(t, faultmodule.ECPoint(form))
			}
			f.define(t, f.key(label), func(p *wire.PKCS11Definition) { p.Curve = label })
			info := f.works(t, label)
			if want == nil {
				want = info.PublicKey
			}
			if !bytes.Equal(info.PublicKey, want) {
				t.Errorf("%s, %q: another public key", label, form)
			}
		}
	}
}

// TestCase35_ExtractableKeysAreRefused: what a token makes of a template is read
// back, and the key named.
func TestCase35_ExtractableKeysAreRefused(t *testing.T) {
	f := newFaulty(t, faultmodule.Attribute(ckaExtractable, 3, 1))
	f.define(t, p256(f.Token, "key", f.PIN), nil)
	_, err := f.service.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"})
	f.wants(t, err, wire.Internal, "CKA_EXTRACTABLE is not as asked", "stays on the token")
	_, err = f.service.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"})
	f.wants(t, err, wire.Invalid, "can leave the token")
}

// TestCase37_OptionalAttributes: a token may know none of them.
func TestCase37_OptionalAttributes(t *testing.T) {
	var faults []faultmodule.Fault
	for _, cka := range []uint{ckaAlwaysAuthenticate, ckaAllowedMechanisms, ckaPublicKeyInfo, ckaNeverExtractable, 0x105, 0x107, 0x10C, 0x163, 0x165, 0x170, 0x171, 0x172} {
		faults = append(faults, faultmodule.HideAttribute(cka, faultmodule.AnyClass))
	}
	f := newFaulty(t, faults...)
	f.define(t, p256(f.Token, "key", f.PIN), nil)
	if _, err := f.service.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"}); err != nil {
		t.Fatal(err)
	}
	f.works(t, "key")
}

// TestKeyIDLength: a token that keeps few octets is given few, and none that is
// taken.
func TestKeyIDLength(t *testing.T) {
	f := newFaulty(t)
	f.config.KeyIDLength = 1
	seen := map[string]bool{}
	for i := range 12 {
		name := string(rune('a' + i))
		f.define(t, p256(f.Token, name, f.PIN), nil)
		if _, err := f.service.Generate(t.Context(), &wire.GenerateRequest{Key: name, ID: "x"}); err != nil {
			t.Fatal(err)
		}
		f.works(t, name)
	}
	shown := f.Tool(t, "--list-objects", "--type", "privkey")
	for _, found := range regexp.MustCompile(`ID: +([0-9a-f]+)`).FindAllStringSubmatch(shown, -1) {
		id := found[1]
		if len(id) != 2 || seen[id] {
			t.Errorf("a key has the id %q", id)
		}
		seen[id] = true
	}
	if len(seen) != 12 {
		t.Errorf("%d ids for 12 keys", len(seen))
	}
}

// TestGenerateMechanism: the usual one, another where the token has only that,
// or the definition's.
func TestGenerateMechanism(t *testing.T) {
	f := newFaulty(t)
	d := f.rsa("rsa", 1)
	d.AllowGenerateKey, d.PKCS11.KeyBits = true, 2048
	f.define(t, d, func(p *wire.PKCS11Definition) { p.GenerateMechanism = 0x80000142 })
	_, err := f.service.Generate(t.Context(), &wire.GenerateRequest{Key: "rsa", ID: "x"})
	f.wants(t, err, wire.Invalid, "C_GenerateKeyPair: CKR_MECHANISM_INVALID")
	f.define(t, d, nil)
	if _, err := f.service.Generate(t.Context(), &wire.GenerateRequest{Key: "rsa", ID: "x"}); err != nil {
		t.Error(err)
	}
}
