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
	"math/big"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// publicKey finds the public half of a private key and its DER: in the public
// object with the same CKA_ID (or label), in the private object itself, or in a
// certificate with the same CKA_ID. Nothing says that a token pairs them
// rightly; hsmd checks every signature.
func (t *token) publicKey(session p11.SessionHandle, private p11.ObjectHandle, k *key) (crypto.PublicKey, []byte, error) {
	holders, err := t.holders(session, private, k)
	if err != nil {
		return nil, nil, err
	}
	kind, _ := keyKind(k.definition.PKCS11.Mechanism)
	var public crypto.PublicKey
	for _, holder := range holders {
		switch kind {
		case p11.CKK_RSA:
			public, err = t.rsaKey(session, holder)
		case p11.CKK_EC:
			public, err = t.ecKey(session, holder)
		case ckkECEdwards:
			public, err = t.edwardsKey(session, holder)
		}
		if err != nil {
			return nil, nil, err
		}
		if public != nil {
			break
		}
	}
	if public == nil {
		if public, err = t.certified(session, private); err != nil {
			return nil, nil, err
		}
	}
	if public == nil {
		return nil, nil, wire.Errorf(wire.Invalid, "managed key %q: token %s has no public key and no certificate beside the private key", k.definition.Name, t)
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	return public, spki, err
}

// holders lists the objects that may have the public key's attributes, the
// likeliest first.
func (t *token) holders(session p11.SessionHandle, private p11.ObjectHandle, k *key) ([]p11.ObjectHandle, error) {
	id, err := t.attribute(session, private, p11.CKA_ID)
	if err != nil {
		return nil, err
	}
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

// certified takes the public key from a certificate.
func (t *token) certified(session p11.SessionHandle, private p11.ObjectHandle) (crypto.PublicKey, error) {
	id, err := t.attribute(session, private, p11.CKA_ID)
	if err != nil || len(id) == 0 {
		return nil, err
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
