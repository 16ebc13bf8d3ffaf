//go:build cgo

package pkcs11

import (
	"crypto"
	"crypto/mldsa"
	"fmt"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// parameterSets are those of ML-DSA, by the number that stands for them in a
// definition's key_bits; ckp is PKCS#11's (CKP_ML_DSA_44 and so on).
var parameterSets = map[int]struct {
	set mldsa.Parameters
	ckp uint
}{
	44: {mldsa.MLDSA44(), 1}, 65: {mldsa.MLDSA65(), 2}, 87: {mldsa.MLDSA87(), 3},
}

var mldsaSchemes = map[mldsa.Parameters]wire.SignatureScheme{
	mldsa.MLDSA44(): wire.MLDSA44, mldsa.MLDSA65(): wire.MLDSA65, mldsa.MLDSA87(): wire.MLDSA87,
}

// mldsaSize is what has CKA_PARAMETER_SET say which key pair is made.
func mldsaSize(bits int) ([]*p11.Attribute, error) {
	s, ok := parameterSets[bits]
	if !ok {
		return nil, wire.Errorf(wire.Invalid, "an ML-DSA key of key_bits %d is not made; 44, 65 and 87 are", bits)
	}
	return []*p11.Attribute{p11.NewAttribute(ckaParameterSet, s.ckp)}, nil
}

// mldsaKey reads an ML-DSA key, whose parameter set its size tells. Only a public
// key object is asked: the same attribute of a private one is the private key.
func (t *token) mldsaKey(session p11.SessionHandle, holder p11.ObjectHandle) (crypto.PublicKey, error) {
	class, err := t.attribute(session, holder, p11.CKA_CLASS)
	if err != nil {
		return nil, err
	}
	if n := numbers(class); len(n) != 1 || n[0] != p11.CKO_PUBLIC_KEY {
		return nil, nil
	}
	value, err := t.attribute(session, holder, p11.CKA_VALUE)
	if err != nil || len(value) == 0 {
		return nil, err
	}
	for _, s := range parameterSets {
		if s.set.PublicKeySize() == len(value) {
			return mldsa.NewPublicKey(s.set, value)
		}
	}
	return nil, fmt.Errorf("CKA_VALUE of the public key has %d octets, and is of no ML-DSA key", len(value))
}
