package managedkey_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

func definition(edit func(*wire.Definition, *wire.PKCS11Definition)) *wire.Definition {
	slot := uint64(7)
	d := &wire.Definition{Type: "pkcs11", Name: "learn-key", AllowGenerateKey: true,
		PKCS11: &wire.PKCS11Definition{Library: "softhsm", Slot: &slot, PIN: "1234", KeyLabel: "learn-key", Mechanism: 1, KeyBits: 4096}}
	edit(d, d.PKCS11)
	managedkey.Normalise(d)
	return d
}

func TestSoundDefinitions(t *testing.T) {
	for name, edit := range map[string]func(*wire.Definition, *wire.PKCS11Definition){
		"the tutorial's": func(*wire.Definition, *wire.PKCS11Definition) {},
		"PSS":            func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Mechanism = 0xD },
		"P256": func(_ *wire.Definition, p *wire.PKCS11Definition) {
			p.Mechanism, p.KeyBits, p.Curve = 0x1041, 0, "P256"
		},
		"P256 with bits": func(_ *wire.Definition, p *wire.PKCS11Definition) {
			p.Mechanism, p.KeyBits, p.Curve = 0x1041, 256, "P256"
		},
		"Ed25519":   func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Mechanism, p.KeyBits = 0x1057, 0 },
		"ML-DSA":    func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Mechanism, p.KeyBits = 0x1D, 65 },
		"id in hex": func(_ *wire.Definition, p *wire.PKCS11Definition) { p.KeyID = "0xAB01" },
		"found, not made": func(d *wire.Definition, p *wire.PKCS11Definition) {
			d.AllowGenerateKey, p.KeyLabel, p.KeyID, p.KeyBits = false, "", "01", 0
		},
		"no login":        func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Login, p.PIN = "none", "" },
		"by label":        func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Slot, p.TokenLabel = nil, "ca" },
		"the normal user": func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Login = "user" },
		"a crypto user":   func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Login, p.PIN = "crypto_user", "user:password" },
		"a PIN each time": func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Login = "context_specific" },
		"another maker":   func(_ *wire.Definition, p *wire.PKCS11Definition) { p.GenerateMechanism = 0x80000142 },
		"all usages":      func(d *wire.Definition, _ *wire.PKCS11Definition) { d.Usages = []string{"sign", "generate_random"} },
	} {
		if err := managedkey.CheckWire(definition(edit)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefusedDefinitions(t *testing.T) {
	for reason, edit := range map[string]func(*wire.Definition, *wire.PKCS11Definition){
		"is of type awskms, and must have that part": func(d *wire.Definition, _ *wire.PKCS11Definition) { d.Type = "awskms" },
		`unsupported managed key type "gcpckms"`:     func(d *wire.Definition, _ *wire.PKCS11Definition) { d.Type = "gcpckms" },
		`the name "Learn-Key"`:                       func(d *wire.Definition, _ *wire.PKCS11Definition) { d.Name = "Learn-Key" },
		`the name ""`:                                func(d *wire.Definition, _ *wire.PKCS11Definition) { d.Name = "" },
		`the name "-x"`:                              func(d *wire.Definition, _ *wire.PKCS11Definition) { d.Name = "-x" },
		`the name "a/b"`:                             func(d *wire.Definition, _ *wire.PKCS11Definition) { d.Name = "a/b" },
		"are those of keys that hsmd names itself":   func(d *wire.Definition, _ *wire.PKCS11Definition) { d.Name = "internal-1" },
		"is of type pkcs11, and must have that part": func(d *wire.Definition, _ *wire.PKCS11Definition) { d.PKCS11 = nil },
		`usage "certify"`:                            func(d *wire.Definition, _ *wire.PKCS11Definition) { d.Usages = []string{"certify"} },
		"library is missing":                         func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Library = "" },
		"one of slot, token_label and token_serial":  func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Slot = nil },
		"one of key_label and key_id":                func(_ *wire.Definition, p *wire.PKCS11Definition) { p.KeyLabel = "" },
		"key_id must be hexadecimal":                 func(_ *wire.Definition, p *wire.PKCS11Definition) { p.KeyID = "abc" },
		"control characters":                         func(_ *wire.Definition, p *wire.PKCS11Definition) { p.KeyLabel = "a\x00b" },
		`login must be "user", "crypto_user"`:        func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Login = "so" },
		`no sense with login = "none"`:               func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Login = "none" },
		"pin is missing":                             func(_ *wire.Definition, p *wire.PKCS11Definition) { p.PIN = "" },
		"given through the API is literal":           func(_ *wire.Definition, p *wire.PKCS11Definition) { p.PIN = "file:/etc/shadow" },
		"max_parallel must not be negative":          func(_ *wire.Definition, p *wire.PKCS11Definition) { p.MaxParallel = -1 },
		"that may be generated needs a key_label":    func(_ *wire.Definition, p *wire.PKCS11Definition) { p.KeyLabel, p.KeyID = "", "01" },
		"mechanism must be 0x0001":                   func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Mechanism = 9 },
		"an RSA mechanism has no curve":              func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Curve = "P256" },
		"key_bits must be 2048, 3072 or 4096":        func(_ *wire.Definition, p *wire.PKCS11Definition) { p.KeyBits = 1024 },
		"an RSA key that may be generated":           func(_ *wire.Definition, p *wire.PKCS11Definition) { p.KeyBits = 0 },
		"an ECDSA mechanism has a curve":             func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Mechanism = 0x1041 },
		"curve must be P256, P384 or P521": func(_ *wire.Definition, p *wire.PKCS11Definition) {
			p.Mechanism, p.KeyBits, p.Curve = 0x1041, 0, "P224"
		},
		"an ECDSA key that may be generated": func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Mechanism, p.KeyBits = 0x1041, 0 },
		"generate_mechanism needs allow_generate_key": func(d *wire.Definition, p *wire.PKCS11Definition) {
			d.AllowGenerateKey, p.GenerateMechanism = false, 0xA
		},
		"public_key is none": func(_ *wire.Definition, p *wire.PKCS11Definition) { p.PublicKey = []byte{0x30, 0} },
		"public_key is Ed25519, which mechanism 0x0001": func(_ *wire.Definition, p *wire.PKCS11Definition) {
			p.PublicKey, _ = x509.MarshalPKIXPublicKey(ed25519.PublicKey(make([]byte, 32)))
		},
		"parameter set: 44, 65 or 87":           func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Mechanism, p.KeyBits = 0x1D, 66 },
		"an ML-DSA key that may be generated":   func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Mechanism, p.KeyBits = 0x1D, 0 },
		"0x001D (ML-DSA) has no curve":          func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Mechanism, p.Curve = 0x1D, "P256" },
		"has the curve Ed25519 and no key_bits": func(_ *wire.Definition, p *wire.PKCS11Definition) { p.Mechanism, p.Curve = 0x1057, "P256" },
	} {
		err := managedkey.CheckWire(definition(edit))
		if !errors.Is(err, wire.Invalid) || !strings.Contains(err.Error(), reason) {
			t.Errorf("got %v, want %q", err, reason)
		}
		if err != nil && (strings.Contains(err.Error(), "1234") || strings.Contains(err.Error(), "shadow")) {
			t.Errorf("%v shows the PIN", err)
		}
	}
}

func TestUUIDOfConfiguredKeys(t *testing.T) {
	key := &config.ManagedKey{Type: "pkcs11", Name: "issuing", PKCS11: &config.PKCS11Key{Library: "softhsm", Mechanism: 0x1041, Curve: "P256",
		KeyLabel: "issuing", Token: config.Token{Label: "ca", PIN: config.NewSecret("1234")}}}
	a, err := managedkey.FromConfig(key)
	if err != nil {
		t.Fatal(err)
	}
	// The UUID may never change: pkid stores it.
	if want := "5b4de63d-b953-5389-90bb-f952d34a3782"; a.UUID != want || a.PKCS11.PIN != "1234" {
		t.Errorf("UUID %s, want %s", a.UUID, want)
	}
	key.Name = "issuing-2"
	if b, err := managedkey.FromConfig(key); err != nil || b.UUID == a.UUID {
		t.Errorf("two names, one UUID (%v)", err)
	}
	key.PKCS11.Token.PIN = config.NewSecret("file:/nonexistent/pin")
	if _, err := managedkey.FromConfig(key); err == nil || !strings.Contains(err.Error(), "/nonexistent/pin") {
		t.Errorf("PIN file missing: %v", err)
	}
}

// TestPublicKeyOfConfiguration: a public_key is PEM, in the file or beside it.
func TestPublicKeyOfConfiguration(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, _ := x509.MarshalPKIXPublicKey(ec.Public())
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ value, fault string }{
		{text, ""},
		{"file:" + path, ""},
		{"file:" + path + ".none", "no such file"},
		{strings.ReplaceAll(text, "PUBLIC", "PRIVATE"), "public_key: it is a PRIVATE KEY"},
		{"-----BEGIN nothing", "there is no PEM in it"},
	} {
		key := &config.ManagedKey{Type: "pkcs11", Name: "issuing", PKCS11: &config.PKCS11Key{Library: "softhsm", Mechanism: 0x1041,
			KeyLabel: "issuing", Token: config.Token{Label: "ca", Login: "none"}, PublicKey: c.value}}
		d, err := managedkey.FromConfig(key)
		if c.fault == "" && (err != nil || !bytes.Equal(d.PKCS11.PublicKey, spki)) {
			t.Errorf("%.20q: %v", c.value, err)
		}
		if c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%.20q: %v, want %q", c.value, err, c.fault)
		}
	}
}

func TestPublicAgainstDefinition(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecSPKI, _ := x509.MarshalPKIXPublicKey(ec.Public())
	rsaSPKI, _ := x509.MarshalPKIXPublicKey(r.Public())
	for _, c := range []struct {
		p    wire.PKCS11Definition
		spki []byte
		want string
	}{
		{wire.PKCS11Definition{Mechanism: 1, KeyBits: 2048}, rsaSPKI, "rsa_pkcs1_sha256"},
		{wire.PKCS11Definition{Mechanism: 0xD}, rsaSPKI, "rsa_pss_rsae_sha256"},
		{wire.PKCS11Definition{Mechanism: 1, KeyBits: 4096}, rsaSPKI, "is RSA of 2048 bits, its definition says 4096"},
		{wire.PKCS11Definition{Mechanism: 0x1041}, rsaSPKI, "is RSA, which mechanism 0x1041 does not sign with"},
		{wire.PKCS11Definition{Mechanism: 0x1041, Curve: "P384"}, ecSPKI, "ecdsa_secp384r1_sha384"},
		{wire.PKCS11Definition{Mechanism: 0x1041, Curve: "P256"}, ecSPKI, "is on curve P-384, its definition says P256"},
		{wire.PKCS11Definition{Mechanism: 0x1057, Curve: "Ed25519"}, ecSPKI, "is ECDSA, which mechanism 0x1057 does not sign with"},
		{wire.PKCS11Definition{Mechanism: 1}, []byte{1, 2}, "cannot be read"},
	} {
		p, err := managedkey.NewPublic(&wire.Definition{Name: "k", PKCS11: &c.p}, c.spki)
		if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && p.Schemes[0].String() != c.want {
			t.Errorf("got %+v, %v; want %s", p, err, c.want)
		}
	}
}
