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

// IsLeaf reports whether a message is a certificate that nobody takes for a CA's.
func IsLeaf(m *tbs.Summary) bool { return m.Kind == tbs.Certificate && !m.IsCA }
