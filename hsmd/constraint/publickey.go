package constraint

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hsmpki/hsmpki/hsmd/tbs"
)

var curves = map[elliptic.Curve]string{elliptic.P256(): "P256", elliptic.P384(): "P384", elliptic.P521(): "P521"}

// keyType names a public key as public_key_types does.
func keyType(spki []byte) (string, error) {
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return "", errors.New("cannot be read")
	}
	if again, err := x509.MarshalPKIXPublicKey(key); err != nil || !bytes.Equal(again, spki) {
		return "", errors.New("is encoded in another way than is usual")
	}
	switch key := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", key.N.BitLen()), nil
	case *ecdsa.PublicKey:
		if name := curves[key.Curve]; name != "" {
			return name, nil
		}
	case ed25519.PublicKey:
		return "Ed25519", nil
	case *mldsa.PublicKey:
		return key.Parameters().String(), nil
	}
	return "", fmt.Errorf("is of another kind (%T)", key)
}

// SameKey reports whether two SubjectPublicKeyInfos hold one key, in whatever
// encoding: an attacker chooses one of them. Two keys that are not the same can
// pass for it only by collision of a whole modulus or coordinate.
func SameKey(a, b []byte) bool {
	x, y := keyNumber(a), keyNumber(b)
	return x != nil && bytes.Equal(x, y)
}

// keyNumber gives what a public key is made of: the modulus for RSA, the point's
// first coordinate for elliptic curves, else all of it.
func keyNumber(spki []byte) []byte {
	in := cryptobyte.String(spki)
	var body, algorithm, bits cryptobyte.String
	if !in.ReadASN1(&body, asn1.SEQUENCE) || !body.ReadASN1(&algorithm, asn1.SEQUENCE) || !body.ReadASN1(&bits, asn1.BIT_STRING) || len(bits) < 2 {
		return nil
	}
	key := bits[1:]
	var pair, modulus cryptobyte.String
	if inner := key; inner.ReadASN1(&pair, asn1.SEQUENCE) && pair.ReadASN1(&modulus, asn1.INTEGER) {
		return bytes.TrimLeft(modulus, "\x00")
	}
	switch key[0] {
	case 2, 3: // compressed
		if len(key)%2 == 1 {
			return key[1:]
		}
	case 4, 6, 7: // not compressed, hybrid
		if len(key)%2 == 1 {
			return key[1 : 1+len(key)/2]
		}
	}
	return key
}

// IsLeaf reports whether a message is a certificate that nobody takes for a CA's.
func IsLeaf(m *tbs.Summary) bool { return m.Kind == tbs.Certificate && !m.IsCA }
