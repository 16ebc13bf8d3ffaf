package backendtest_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/token"
	"github.com/hsmpki/hsmpki/wire"
)

// TestHashedOnTheToken: where a token has no raw mechanism, or refuses it though
// it lists it, the one that hashes there is taken, and the worker says so.
func TestHashedOnTheToken(t *testing.T) {
	f := newFaulty(t)
	f.Tool(t, "--keypairgen", "--key-type", "rsa:2048", "--label", "rsa", "--id", "01")
	for _, c := range []struct {
		name      string
		mechanism uint64
		fault     faultmodule.Fault
		schemes   []wire.SignatureScheme
		hashed    bool
	}{
		{"raw", 0x1, faultmodule.Mechanisms(0x1, 0x40), []wire.SignatureScheme{0x0401, 0x0501, 0x0601}, false},
		{"PKCS1 not there", 0x1, faultmodule.Mechanisms(0x40, 0x42), []wire.SignatureScheme{0x0401, 0x0601}, true},
		{"PSS not there", 0xD, faultmodule.Mechanisms(0x43, 0x44, 0x45), []wire.SignatureScheme{0x0804, 0x0805, 0x0806}, true},
		{"PKCS1 refused", 0x1, faultmodule.Return("C_SignInit", ckrMechanismInvalid).Nth(1), []wire.SignatureScheme{0x0401, 0x0501, 0x0601}, true},
		{"PSS refused", 0xD, faultmodule.Return("C_Sign", ckrMechanismInvalid).Nth(1), []wire.SignatureScheme{0x0804, 0x0805, 0x0806}, true},
		{"not allowed to the key", 0x1, faultmodule.Attribute(ckaAllowedMechanisms, 3, 0x41, 0, 0, 0, 0, 0, 0, 0), []wire.SignatureScheme{0x0501}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.Set(t, c.fault)
			f.define(t, f.rsa("rsa", c.mechanism), nil)
			info, err := f.look(t, "rsa")
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(info.Schemes, c.schemes) || c.hashed != slices.Equal(info.Hashed, c.schemes) {
				t.Errorf("schemes %v, hashed on the token %v", info.Schemes, info.Hashed)
			}
			for _, scheme := range c.schemes {
				for _, size := range []int{1, 300, 40_000, 300_000} { // the last one in parts
					if err := f.sign(t, &info, scheme, bytes.Repeat([]byte{byte(size)}, size)); err != nil {
						t.Errorf("%s, %d octets: %v", scheme, size, err)
					}
				}
			}
			f.Set(t)
		})
	}
}

// TestRefusalByMistake: a fault of the moment, met when a mechanism is tried, does
// not leave the key without any.
func TestRefusalByMistake(t *testing.T) {
	f := newFaulty(t)
	f.Tool(t, "--keypairgen", "--key-type", "rsa:2048", "--label", "rsa", "--id", "01")
	once := faultmodule.Return("C_SignInit", ckrGeneralError).Nth(1)

	// The key may use no other, so it is none that the token refused.
	f.Set(t, once, faultmodule.Attribute(ckaAllowedMechanisms, 3, 1, 0, 0, 0, 0, 0, 0, 0))
	f.define(t, f.rsa("rsa", 1), nil)
	f.works(t, "rsa")

	// The token lists another, and refuses that.
	f.Set(t, once, faultmodule.Return("C_SignInit", ckrMechanismInvalid).Between(1, 3))
	f.define(t, f.rsa("rsa", 1), nil)
	_, err := f.look(t, "rsa")
	f.wants(t, err, wire.Invalid, "does not support mechanism 0x0001")
	f.Set(t)
	f.works(t, "rsa")
}

// TestLongMessagesGoThrough: one that the token hashes is given to it part by
// part, and nothing is signed of one whose end does not come.
func TestLongMessagesGoThrough(t *testing.T) {
	f := newFaulty(t, faultmodule.Mechanisms(0x40))
	f.Tool(t, "--keypairgen", "--key-type", "rsa:2048", "--label", "rsa", "--id", "01")
	f.define(t, f.rsa("rsa", 1), nil)
	info := f.works(t, "rsa")
	updates := f.Calls(t, "C_SignUpdate")
	if err := f.sign(t, &info, wire.RSAPKCS1SHA256, make([]byte, 320<<10)); err != nil {
		t.Fatal(err)
	}
	if n := f.Calls(t, "C_SignUpdate") - updates; n != 10 {
		t.Errorf("320 KiB were given in %d parts", n)
	}
	finals := f.Calls(t, "C_SignFinal")
	err := f.signReader(t, &info, wire.RSAPKCS1SHA256, &breaking{left: 200 << 10})
	if err == nil || f.Calls(t, "C_SignFinal") != finals {
		t.Errorf("a message that broke off: %v, and %d signatures", err, f.Calls(t, "C_SignFinal")-finals)
	}
	f.works(t, "rsa")
}

// TestOneCallOrSeveral: a token may take no message in parts, or none that is long
// in one call.
func TestOneCallOrSeveral(t *testing.T) {
	for name, fault := range map[string]faultmodule.Fault{
		"no parts":        faultmodule.Return("C_SignUpdate", 0x54),                 // CKR_FUNCTION_NOT_SUPPORTED
		"no long message": faultmodule.Return("C_Sign", 0x21).Between(2, 1_000_000), // CKR_DATA_LEN_RANGE, after the trial
	} {
		f := newFaulty(t, faultmodule.Mechanisms(0x40), fault)
		f.Tool(t, "--keypairgen", "--key-type", "rsa:2048", "--label", "rsa", "--id", "01")
		f.define(t, f.rsa("rsa", 1), nil)
		info, err := f.look(t, "rsa")
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{10, 40_000, 200_000} {
			if err := f.sign(t, &info, wire.RSAPKCS1SHA256, make([]byte, size)); err != nil {
				t.Errorf("%s, %d octets: %v", name, size, err)
			}
		}
	}
}

// TestALostSessionBeforeAPart: a long message survives what happens before any of
// it was given.
func TestALostSessionBeforeAPart(t *testing.T) {
	f := newFaulty(t, faultmodule.Mechanisms(0x40))
	f.Tool(t, "--keypairgen", "--key-type", "rsa:2048", "--label", "rsa", "--id", "01")
	f.define(t, f.rsa("rsa", 1), nil)
	info := f.works(t, "rsa")
	f.Add(t, faultmodule.Return("C_SignInit", 0xB3).Nth(1)) // CKR_SESSION_HANDLE_INVALID
	if err := f.sign(t, &info, wire.RSAPKCS1SHA256, make([]byte, 200<<10)); err != nil {
		t.Error(err)
	}
	f.Add(t, faultmodule.Return("C_SignUpdate", 0xB3).Nth(3))
	f.wants(t, f.sign(t, &info, wire.RSAPKCS1SHA256, make([]byte, 200<<10)), wire.Unavailable, "C_SignUpdate", "CKR_SESSION_HANDLE_INVALID")
	f.works(t, "rsa")
}

// TestECDSAHashedOnTheToken has another library than SoftHSM, which knows no such
// mechanism.
func TestECDSAHashedOnTheToken(t *testing.T) {
	nss := token.NSS(t, "")
	module := faultmodule.New(t, nss.Library)
	f := &faulty{Module: module, service: child(t, module.EnvList()...), config: worker(module.Library)}
	f.config.InitArgs = nss.InitArgs
	module.Set(t, faultmodule.Mechanisms(0x1040, 0x1044, 0x1045, 0x1046))
	for curve, scheme := range map[string]wire.SignatureScheme{"P256": wire.ECDSAP256SHA256, "P384": wire.ECDSAP384SHA384, "P521": wire.ECDSAP521SHA512} {
		d := wire.Definition{Type: "pkcs11", Name: curve, AllowGenerateKey: true, PKCS11: &wire.PKCS11Definition{Library: "nss",
			TokenLabel: nss.Label, Login: "none", KeyLabel: curve, Mechanism: 0x1041, Curve: curve}}
		f.define(t, d, nil)
		if _, err := f.service.Generate(t.Context(), &wire.GenerateRequest{Key: curve, ID: "x"}); err != nil {
			t.Errorf("%s: %v", curve, err)
			continue
		}
		info, err := f.look(t, curve)
		if err != nil || !slices.Equal(info.Hashed, []wire.SignatureScheme{scheme}) {
			t.Errorf("%s: hashed on the token %v, %v", curve, info.Hashed, err)
			continue
		}
		for _, size := range []int{10, 100_000} {
			if err := f.sign(t, &info, scheme, make([]byte, size)); err != nil {
				t.Errorf("%s, %d octets: %v", curve, size, err)
			}
		}
	}
}

// TestCase29_Ed25519Parameters: a curve is named by an object identifier or by a
// string, and a token without the mechanism says so and makes no key.
func TestCase29_Ed25519Parameters(t *testing.T) {
	f := newFaulty(t)
	ed := func(name string) wire.Definition {
		d := p256(f.Token, name, f.PIN)
		d.PKCS11.Mechanism, d.PKCS11.Curve = 0x1057, "Ed25519"
		return d
	}
	for _, name := range []string{"by-oid", "by-name"} {
		f.define(t, ed(name), nil)
		if _, err := f.service.Generate(t.Context(), &wire.GenerateRequest{Key: name, ID: "x"}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		info, err := f.look(t, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.sign(t, &info, wire.Ed25519, []byte("a message")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f.Set(t, faultmodule.Return("C_GenerateKeyPair", ckrDomainParamsInvalid).Nth(1)) // of the next one
	}
	if shown := f.Tool(t, "--list-objects", "--type", "pubkey"); !strings.Contains(shown, "130c656477617264733235353139") {
		t.Errorf("no key has the curve's name:\n%s", shown)
	}
	f.Set(t, faultmodule.Mechanisms(0x1055, 0x1041))
	before := f.Calls(t, "C_GenerateKeyPair")
	f.define(t, ed("never"), nil)
	_, err := f.service.Generate(t.Context(), &wire.GenerateRequest{Key: "never", ID: "x"})
	f.wants(t, err, wire.Invalid, "does not support mechanism 0x1057")
	_, err = f.look(t, "by-oid")
	f.wants(t, err, wire.Invalid, "does not support mechanism 0x1057")
	f.Set(t, faultmodule.Mechanisms(0x1057))
	_, err = f.service.Generate(t.Context(), &wire.GenerateRequest{Key: "never", ID: "x"})
	f.wants(t, err, wire.Invalid, "does not support making such keys")
	if n := f.Calls(t, "C_GenerateKeyPair") - before; n != 0 {
		t.Errorf("%d keys were made that nobody could use", n)
	}
}
