package managedkey_test

import (
	"bytes"
	"crypto/mldsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

// TestMLDSA: the public keys of RFC 9881, appendix C, have their one scheme and
// the RFC's sizes, and verify what their private keys sign, without a context.
func TestMLDSA(t *testing.T) {
	for _, c := range []struct {
		number          int
		scheme          wire.SignatureScheme
		spki, signature int
	}{
		{44, wire.MLDSA44, 22 + 1312, 2420},
		{65, wire.MLDSA65, 22 + 1952, 3309},
		{87, wire.MLDSA87, 22 + 2592, 4627},
	} {
		t.Run(c.scheme.String(), func(t *testing.T) {
			file := "../../wire/testdata/rfc9881/ml-dsa-" + c.scheme.String()[len("mldsa"):]
			spki := der(t, file+".pub")
			d := &wire.Definition{Name: "k", PKCS11: &wire.PKCS11Definition{Mechanism: managedkey.MechanismMLDSA, KeyBits: c.number}}
			public, err := managedkey.NewPublic(d, spki)
			if err != nil {
				t.Fatal(err)
			}
			if len(spki) != c.spki || len(public.Schemes) != 1 || public.Schemes[0] != c.scheme {
				t.Errorf("%d octets, schemes %v", len(spki), public.Schemes)
			}
			for _, wrong := range []wire.PKCS11Definition{{Mechanism: managedkey.MechanismMLDSA, KeyBits: 131 - c.number}, {Mechanism: managedkey.MechanismEdDSA}} {
				if _, err := managedkey.NewPublic(&wire.Definition{Name: "k", PKCS11: &wrong}, spki); err == nil {
					t.Errorf("taken for %+v", wrong)
				}
			}
			private, err := x509.ParsePKCS8PrivateKey(der(t, file+".key"))
			if err != nil {
				t.Fatal(err)
			}
			message := bytes.Repeat([]byte("message"), 10_000)
			signature, err := private.(*mldsa.PrivateKey).Sign(nil, message, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := public.Verify(c.scheme, message, signature); err != nil || len(signature) != c.signature {
				t.Errorf("a signature of %d octets: %v", len(signature), err)
			}
			for _, other := range []wire.SignatureScheme{wire.MLDSA44, wire.MLDSA65, wire.MLDSA87, wire.Ed25519} {
				if err := public.Verify(other, message, signature); other != c.scheme && err == nil {
					t.Errorf("verifies as %s", other)
				}
			}
			inContext, err := private.(*mldsa.PrivateKey).Sign(nil, message, &mldsa.Options{Context: "x"})
			if err != nil {
				t.Fatal(err)
			}
			signature[7] ^= 1
			for name, bad := range map[string][]byte{"with a context": inContext, "spoiled": signature, "short": signature[:100], "empty": nil} {
				if err := public.Verify(c.scheme, message, bad); err == nil {
					t.Errorf("a signature %s verifies", name)
				}
			}
		})
	}
}

func der(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no PEM in %s", file)
	}
	return block.Bytes
}
