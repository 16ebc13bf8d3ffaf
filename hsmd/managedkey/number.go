package managedkey

import (
	"bytes"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Number gives what a public key is made of, by which it is known again in
// whatever encoding somebody else has chosen for its SubjectPublicKeyInfo: the
// modulus for RSA, the point's first coordinate for elliptic curves, else all of
// it. It is nil where none can be read.
func Number(spki []byte) []byte {
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
