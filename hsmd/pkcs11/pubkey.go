//go:build cgo

package pkcs11

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"iter"
	"math/big"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// candidates gives the public keys that may be the private key's, the likeliest
// first: of the public object with the same CKA_ID (or label), of the private
// object itself, of the certificate with the same CKA_ID, of the definition.
// Nothing says that a token pairs them rightly. An error is of one place that was
// looked at; it is a [wire.Error] where others may do.
func (t *token) candidates(session p11.SessionHandle, private p11.ObjectHandle, k *key) iter.Seq2[crypto.PublicKey, error] {
	return func(yield func(crypto.PublicKey, error) bool) {
		offer := func(public crypto.PublicKey, err error) bool {
			if err != nil && !ofToken(err) {
				err = wire.Errorf(wire.Invalid, "managed key %q: %v", k.definition.Name, err)
			}
			return public == nil && err == nil || yield(public, err)
		}
		id, err := t.attribute(session, private, p11.CKA_ID)
		if err != nil {
			yield(nil, err)
			return
		}
		holders, err := t.holders(session, private, id, k)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, holder := range holders {
			if !offer(t.ownKey(session, holder, k)) {
				return
			}
		}
		if !offer(t.publicKeyInfo(session, private)) || !offer(t.certified(session, id)) {
			return
		}
		if der := k.definition.PKCS11.PublicKey; der != nil {
			offer(x509.ParsePKIXPublicKey(der))
		}
	}
}

// ofToken tells an error of a call to the token from one about what was read.
func ofToken(err error) bool {
	_, ok := errors.AsType[p11.Error](err)
	return ok
}

// holders lists the objects that may have the public key's attributes, the
// likeliest first.
func (t *token) holders(session p11.SessionHandle, private p11.ObjectHandle, id []byte, k *key) ([]p11.ObjectHandle, error) {
	template := []*p11.Attribute{p11.NewAttribute(p11.CKA_ID, id)}
	if len(id) == 0 {
		if k.definition.PKCS11.KeyLabel == "" {
			return []p11.ObjectHandle{private}, nil
		}
		template = []*p11.Attribute{p11.NewAttribute(p11.CKA_LABEL, k.definition.PKCS11.KeyLabel)}
	}
	holders, err := t.objects(session, p11.CKO_PUBLIC_KEY, template, 8)
	return append(holders, private), err
}

// ownKey reads the public key that an object's attributes make; nil for none.
func (t *token) ownKey(session p11.SessionHandle, holder p11.ObjectHandle, k *key) (crypto.PublicKey, error) {
	switch kind, _ := keyKind(k.definition.PKCS11.Mechanism); kind {
	case p11.CKK_RSA:
		return t.rsaKey(session, holder)
	case p11.CKK_EC:
		return t.ecKey(session, holder)
	case ckkECEdwards:
		return t.edwardsKey(session, holder)
	case ckkMLDSA:
		return t.mldsaKey(session, holder)
	}
	return nil, nil
}

// publicKeyInfo reads a SubjectPublicKeyInfo that the private key has; nil for
// none.
func (t *token) publicKeyInfo(session p11.SessionHandle, private p11.ObjectHandle) (crypto.PublicKey, error) {
	der, err := t.attribute(session, private, p11.CKA_PUBLIC_KEY_INFO)
	if err != nil || len(der) == 0 {
		return nil, err
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("CKA_PUBLIC_KEY_INFO: %w", err)
	}
	return public, nil
}

func (t *token) rsaKey(session p11.SessionHandle, holder p11.ObjectHandle) (crypto.PublicKey, error) {
	modulus, err := t.attribute(session, holder, p11.CKA_MODULUS)
	if err != nil {
		return nil, err
	}
	exponent, err := t.attribute(session, holder, p11.CKA_PUBLIC_EXPONENT)
	if err != nil || len(modulus) == 0 || len(exponent) == 0 {
		return nil, err
	}
	e := new(big.Int).SetBytes(exponent)
	if e.BitLen() > 31 || e.Bit(0) == 0 {
		return nil, fmt.Errorf("the RSA exponent %s is not used", e)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(e.Int64())}, nil
}

var curves = map[string]elliptic.Curve{
	"1.2.840.10045.3.1.7": elliptic.P256(),
	"1.3.132.0.34":        elliptic.P384(),
	"1.3.132.0.35":        elliptic.P521(),
}

func (t *token) ecKey(session p11.SessionHandle, holder p11.ObjectHandle) (crypto.PublicKey, error) {
	params, err := t.attribute(session, holder, p11.CKA_EC_PARAMS)
	if err != nil {
		return nil, err
	}
	point, err := t.attribute(session, holder, p11.CKA_EC_POINT)
	if err != nil || len(params) == 0 || len(point) == 0 {
		return nil, err
	}
	var oid asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(params, &oid); err != nil {
		return nil, fmt.Errorf("CKA_EC_PARAMS names no curve: %w", err)
	}
	curve, ok := curves[oid.String()]
	if !ok {
		return nil, fmt.Errorf("the curve %s is not used", oid)
	}
	size := 1 + 2*((curve.Params().BitSize+7)/8)
	public, err := ecdsa.ParseUncompressedPublicKey(curve, octets(point, size))
	if err != nil {
		return nil, fmt.Errorf("CKA_EC_POINT: %w", err)
	}
	return public, nil
}

// edwardsKey reads an Ed25519 key. How the curve is named differs (an object
// identifier or a string), so it is known by the point's size: Ed448 has 57.
func (t *token) edwardsKey(session p11.SessionHandle, holder p11.ObjectHandle) (crypto.PublicKey, error) {
	point, err := t.attribute(session, holder, p11.CKA_EC_POINT)
	if err != nil || len(point) == 0 {
		return nil, err
	}
	raw := octets(point, ed25519.PublicKeySize)
	if len(raw) != ed25519.PublicKeySize {
		return nil, errors.New("CKA_EC_POINT is not of Ed25519, the Edwards curve that is used")
	}
	return ed25519.PublicKey(raw), nil
}

// octets unwraps a point: PKCS#11 has it in an OCTET STRING, others raw, in a
// BIT STRING, or with a wrong length in front. Whatever is in front, the point
// is the tail of the known size.
func octets(point []byte, size int) []byte {
	for _, front := range []int{0, 2, 3, 4} {
		if len(point) == size+front {
			return point[front:]
		}
	}
	return point
}

// certified takes the public key from a certificate; nil for none.
func (t *token) certified(session p11.SessionHandle, id []byte) (crypto.PublicKey, error) {
	if len(id) == 0 {
		return nil, nil
	}
	handles, err := t.objects(session, p11.CKO_CERTIFICATE, []*p11.Attribute{p11.NewAttribute(p11.CKA_ID, id)}, 1)
	if err != nil || len(handles) == 0 {
		return nil, err
	}
	der, err := t.attribute(session, handles[0], p11.CKA_VALUE)
	if err != nil || len(der) == 0 {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("the certificate beside the private key: %w", err)
	}
	return cert.PublicKey, nil
}
