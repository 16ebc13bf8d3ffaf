package backendtest_test

import (
	"bytes"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/backendtest"
	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// withMLDSA is a token that has ML-DSA beside what SoftHSM has.
func withMLDSA(t *testing.T) (*softhsm.Token, *faultmodule.Module) {
	t.Helper()
	token := softhsm.New(t)
	module := faultmodule.New(t, token.Library)
	module.MLDSA(t)
	return token, module
}

// TestMLDSASuite runs the suite on a token with ML-DSA.
func TestMLDSASuite(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) *backendtest.Backend {
		token, module := withMLDSA(t)
		again := func(t *testing.T) wire.Service { return child(t, append(token.Env(), module.EnvList()...)...) }
		return &backendtest.Backend{Service: again(t), Again: again, Key: onToken(token), Worker: worker(module.Library),
			Types: []wire.KeyType{wire.KeyP256, wire.KeyMLDSA44, wire.KeyMLDSA65, wire.KeyMLDSA87}, Tool: token.Tool}
	})
}

// mldsaKey is a definition for an ML-DSA key that may be made.
func mldsaKey(token *softhsm.Token, name string, set int) wire.Definition {
	d := p256(token, name, token.PIN)
	d.PKCS11.Mechanism, d.PKCS11.Curve, d.PKCS11.KeyBits = 0x1D, "", set
	return d
}

// TestMLDSAKeys: what is particular to these keys on a token.
func TestMLDSAKeys(t *testing.T) {
	token, module := withMLDSA(t)
	f := &faulty{Module: module, Token: token, config: worker(module.Library), service: child(t, append(token.Env(), module.EnvList()...)...)}
	generate := func(name string) error {
		_, err := f.service.Generate(t.Context(), &wire.GenerateRequest{Key: name, ID: name})
		return err
	}
	f.define(t, mldsaKey(token, "ca", 65), nil)
	if err := generate("ca"); err != nil {
		t.Fatal(err)
	}
	info := f.works(t, "ca")

	// A CRL comes in parts, and goes to the token whole.
	for _, size := range []int{1, 49_152, 49_153, 3 << 20} {
		if err := f.sign(t, &info, wire.MLDSA65, bytes.Repeat([]byte{7}, size)); err != nil {
			t.Errorf("%d octets: %v", size, err)
		}
	}
	f.wants(t, f.signReader(t, &info, wire.MLDSA65, bytes.NewReader(make([]byte, 16<<20+1))), wire.Invalid, "16777216")

	// The key is what its definition says, or it is not used.
	f.define(t, mldsaKey(token, "ca", 87), nil)
	_, err := f.look(t, "ca")
	f.wants(t, err, wire.Invalid, "is ML-DSA-65", "says ML-DSA-87")
	f.define(t, mldsaKey(token, "ca", 65), func(p *wire.PKCS11Definition) { p.Mechanism, p.KeyBits = 0x1057, 0 })
	_, err = f.look(t, "ca")
	f.wants(t, err, wire.Invalid, "0x4a", "0x40")

	// Without a public key object only the definition has one, and the private
	// key's own CKA_VALUE is not asked for.
	f.define(t, mldsaKey(token, "ca", 65), nil)
	f.Set(t, faultmodule.HideClass(ckoPublicKey))
	_, err = f.look(t, "ca")
	f.wants(t, err, wire.Invalid, "public_key in the definition can give it")
	f.define(t, mldsaKey(token, "ca", 65), func(p *wire.PKCS11Definition) { p.PublicKey = info.PublicKey })
	f.works(t, "ca")
	f.Set(t, faultmodule.Attribute(0x11, 3, bytes.Repeat([]byte{1}, 200)...), faultmodule.HideClass(ckoPublicKey)) // CKA_VALUE of the private key
	f.define(t, mldsaKey(token, "ca", 65), nil)
	_, err = f.look(t, "ca")
	f.wants(t, err, wire.Invalid, "no public key and no certificate")

	// A token without the mechanism makes no key, and one that signs wrongly is
	// found out.
	f.Set(t, faultmodule.Mechanisms(0x1040, 0x1041))
	f.define(t, mldsaKey(token, "other", 44), nil)
	f.wants(t, generate("other"), wire.Invalid, "does not support")
	f.Set(t, faultmodule.Flip("C_Sign"))
	f.define(t, mldsaKey(token, "flipped", 44), nil)
	f.wants(t, generate("flipped"), wire.Invalid, "is not the private key's")
	f.Set(t)
	f.works(t, "flipped")
}
