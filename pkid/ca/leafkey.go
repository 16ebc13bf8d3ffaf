package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"github.com/hsmpki/hsmpki/pkid/role"
)

// leafKey makes the key of an end entity. It is not the CA's, and so it is made
// here, handed out once, and kept nowhere.
func leafKey(kind string, bits int) (crypto.Signer, error) {
	switch kind {
	case role.KeyRSA:
		return rsa.GenerateKey(rand.Reader, bits)
	case role.KeyEC:
		curve, ok := map[int]elliptic.Curve{224: elliptic.P224(), 256: elliptic.P256(), 384: elliptic.P384(), 521: elliptic.P521()}[bits]
		if ok {
			return ecdsa.GenerateKey(curve, rand.Reader)
		}
	case role.KeyEd25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case role.KeyMLDSA:
		sets := map[int]mldsa.Parameters{44: mldsa.MLDSA44(), 65: mldsa.MLDSA65(), 87: mldsa.MLDSA87()}
		if set, ok := sets[bits]; ok {
			return mldsa.GenerateKey(set)
		}
	}
	return nil, fmt.Errorf("a key of type %s with %d bits cannot be made", kind, bits)
}

// EncodeKey gives an issued key as the API does: its type, the PEM type and DER
// of the traditional form, or of PKCS #8 where that is asked for or is the only
// one.
func EncodeKey(key crypto.Signer, pkcs8 bool) (kind, pemType string, der []byte, err error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		kind, pemType, der = role.KeyRSA, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)
	case *ecdsa.PrivateKey:
		kind, pemType = role.KeyEC, "EC PRIVATE KEY"
		der, err = x509.MarshalECPrivateKey(key)
	case ed25519.PrivateKey:
		kind, pkcs8 = role.KeyEd25519, true
	case *mldsa.PrivateKey:
		kind, pkcs8 = role.KeyMLDSA, true // as its seed (RFC 9881, section 6)
	default:
		return "", "", nil, fmt.Errorf("a key of type %T cannot be encoded", key)
	}
	if pkcs8 {
		pemType = "PRIVATE KEY"
		der, err = x509.MarshalPKCS8PrivateKey(key)
	}
	return kind, pemType, der, err
}
