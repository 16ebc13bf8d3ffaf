package awskms_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/awskms"
	"github.com/hsmpki/hsmpki/wire"
)

// verified checks a signature with the standard library.
func verified(t *testing.T, spki []byte, scheme wire.SignatureScheme, message, signature []byte) bool {
	t.Helper()
	public, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		t.Fatal(err)
	}
	var digest []byte
	if hash := scheme.Hash(); hash != 0 {
		h := hash.New()
		h.Write(message)
		digest = h.Sum(nil)
	}
	switch key := public.(type) {
	case *rsa.PublicKey:
		if strings.HasPrefix(scheme.String(), "rsa_pss") {
			return rsa.VerifyPSS(key, scheme.Hash(), digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(key, scheme.Hash(), digest, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	case ed25519.PublicKey:
		return ed25519.VerifyWithOptions(key, message, signature, &ed25519.Options{Hash: crypto.Hash(0)}) == nil
	case *mldsa.PublicKey:
		return mldsa.Verify(key, message, signature, nil) == nil
	}
	return false
}

// TestEveryType makes a key of every type, and signs with every scheme of it.
func TestEveryType(t *testing.T) {
	rsaSchemes := []wire.SignatureScheme{wire.RSAPKCS1SHA256, wire.RSAPKCS1SHA384, wire.RSAPKCS1SHA512, wire.RSAPSSSHA256, wire.RSAPSSSHA384, wire.RSAPSSSHA512}
	b := newBench(t, awskms.Config{Creations: 100})
	message := bytes.Repeat([]byte("to be signed "), 1000)
	for _, test := range []struct {
		name, keyType string
		bits          int
		curve         string
		schemes       []wire.SignatureScheme
	}{
		{"rsa2048", "RSA", 2048, "", rsaSchemes},
		{"rsa3072", "RSA", 3072, "", rsaSchemes},
		{"rsa4096", "RSA", 4096, "", rsaSchemes},
		{"p256", "ECDSA", 0, "P256", []wire.SignatureScheme{wire.ECDSAP256SHA256}},
		{"p384", "ECDSA", 0, "P384", []wire.SignatureScheme{wire.ECDSAP384SHA384}},
		{"p521", "ECDSA", 0, "P521", []wire.SignatureScheme{wire.ECDSAP521SHA512}},
		{"ed25519", "Ed25519", 0, "", []wire.SignatureScheme{wire.Ed25519}},
		{"mldsa44", "ML-DSA-44", 0, "", []wire.SignatureScheme{wire.MLDSA44}},
		{"mldsa65", "ML-DSA-65", 0, "", []wire.SignatureScheme{wire.MLDSA65}},
		{"mldsa87", "ML-DSA-87", 0, "", []wire.SignatureScheme{wire.MLDSA87}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b.define(test.name, test.keyType, func(d *wire.AWSKMSDefinition) { d.KeyBits, d.Curve = test.bits, test.curve })
			made, err := b.generate(t.Context(), test.name)
			if err != nil || !made.Created {
				t.Fatal(made, err)
			}
			if len(made.Key.Schemes) != len(test.schemes) {
				t.Errorf("schemes %v, want %v", made.Key.Schemes, test.schemes)
			}
			for _, scheme := range test.schemes {
				signed := message
				if scheme == wire.Ed25519 {
					signed = message[:4096]
				}
				signature, err := b.sign(t.Context(), test.name, made.Key.PublicKey, scheme, signed)
				if err != nil || !verified(t, made.Key.PublicKey, scheme, signed, signature) {
					t.Errorf("%s: %v", scheme, err)
				}
			}
		})
	}
	for _, key := range b.kms.Keys() {
		if key.Tags["hsmd-alias"] != "alias/"+key.Tags["hsmd-managed-key"] || key.Tags["hsmd-request"] != "test" {
			t.Errorf("tags %v", key.Tags)
		}
	}
}

// TestMuOfParts makes μ of a message as it comes.
func TestMuOfParts(t *testing.T) {
	b := newBench(t, awskms.Config{})
	key := b.kms.MakeKey("ML_DSA_65", "alias/k")
	b.define("k", "ML-DSA-65", nil)
	message := bytes.Repeat([]byte("part"), 1<<20)
	id := sha256.Sum256(key.SPKI)
	answer, err := b.service.Sign(t.Context(), &wire.SignRequest{Key: "k", SPKI: id[:], Scheme: wire.MLDSA65, Parts: bytes.NewReader(message)})
	if err != nil || !verified(t, key.SPKI, wire.MLDSA65, message, answer.Signature) {
		t.Errorf("%v", err)
	}
}

// TestOtherCallers: two hsmd make a key for one alias at once; both have the same
// one in the end.
func TestOtherCallers(t *testing.T) {
	b := newBench(t, awskms.Config{})
	b.define("k", "ECDSA", nil)
	first, err := b.generate(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	// The other looked before there was an alias.
	b.kms.Fail("DescribeKey", "NotFoundException", 1)
	again, err := b.generate(t.Context(), "k")
	if err != nil || !bytes.Equal(again.Key.PublicKey, first.Key.PublicKey) || again.Created {
		t.Errorf("%+v, %v", again, err)
	}
}
