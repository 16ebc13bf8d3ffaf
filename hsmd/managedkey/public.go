package managedkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/hsmpki/hsmpki/wire"
)

// Public is the public half of a key pair, parsed once.
type Public struct {
	// SPKI is the DER of the SubjectPublicKeyInfo, ID its SHA-256.
	SPKI []byte
	ID   [sha256.Size]byte
	// Schemes are those that key, mechanism and token allow, the first by default.
	Schemes []wire.SignatureScheme
	// Number is the key's, whatever its encoding; see [Number].
	Number []byte

	key    crypto.PublicKey
	hashed []wire.SignatureScheme
}

// NewPublic parses what a backend found, and refuses it where it is not what
// the definition says.
func NewPublic(d *wire.Definition, spki []byte) (*Public, error) {
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, fmt.Errorf("the public key of %q cannot be read: %w", d.Name, err)
	}
	var schemes []wire.SignatureScheme
	if d.AWSKMS != nil {
		schemes, err = awsSchemes(key, d.AWSKMS)
	} else {
		schemes, err = schemesOf(key, d.PKCS11)
	}
	if err != nil {
		return nil, wire.Errorf(wire.Invalid, "the key found for %q %v", d.Name, err)
	}
	return &Public{SPKI: spki, ID: sha256.Sum256(spki), Schemes: schemes, Number: Number(spki), key: key}, nil
}

// Offered leaves of the schemes those that the token offers, and keeps for which
// of them it hashes. A backend that names none offers all.
func (p *Public) Offered(schemes, hashed []wire.SignatureScheme) error {
	p.hashed = hashed
	if len(schemes) == 0 {
		return nil
	}
	p.Schemes = slices.DeleteFunc(p.Schemes, func(s wire.SignatureScheme) bool { return !slices.Contains(schemes, s) })
	if len(p.Schemes) == 0 {
		return wire.Errorf(wire.Invalid, "the key's token offers %v, none of which the key signs with", schemes)
	}
	return nil
}

// HashedByToken reports whether the token is given the message, not its digest.
func (p *Public) HashedByToken(scheme wire.SignatureScheme) bool {
	return slices.Contains(p.hashed, scheme)
}

var (
	pkcs1Schemes = []wire.SignatureScheme{wire.RSAPKCS1SHA256, wire.RSAPKCS1SHA384, wire.RSAPKCS1SHA512}
	pssSchemes   = []wire.SignatureScheme{wire.RSAPSSSHA256, wire.RSAPSSSHA384, wire.RSAPSSSHA512}
)

func schemesOf(key crypto.PublicKey, d *wire.PKCS11Definition) ([]wire.SignatureScheme, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		bits := key.N.BitLen()
		if bits != 2048 && bits != 3072 && bits != 4096 {
			return nil, fmt.Errorf("is RSA of %d bits; 2048, 3072 and 4096 are used", bits)
		}
		if d.KeyBits != 0 && d.KeyBits != bits {
			return nil, fmt.Errorf("is RSA of %d bits, its definition says %d", bits, d.KeyBits)
		}
		switch d.Mechanism {
		case MechanismRSAPKCS:
			return slices.Clone(pkcs1Schemes), nil
		case MechanismRSAPSS:
			return slices.Clone(pssSchemes), nil
		}
		return nil, fmt.Errorf("is RSA, which mechanism 0x%04x does not sign with", d.Mechanism)
	case *ecdsa.PublicKey:
		curve := ecdsaCurves[key.Curve]
		if d.Mechanism != MechanismECDSA {
			return nil, fmt.Errorf("is ECDSA, which mechanism 0x%04x does not sign with", d.Mechanism)
		}
		if d.Curve != "" && d.Curve != curve.name {
			return nil, fmt.Errorf("is on curve %s, its definition says %s", key.Params().Name, d.Curve)
		}
		if curve.scheme == 0 {
			return nil, fmt.Errorf("is on curve %s; P256, P384 and P521 are used", key.Params().Name)
		}
		return []wire.SignatureScheme{curve.scheme}, nil
	case ed25519.PublicKey:
		if d.Mechanism != MechanismEdDSA {
			return nil, fmt.Errorf("is Ed25519, which mechanism 0x%04x does not sign with", d.Mechanism)
		}
		return []wire.SignatureScheme{wire.Ed25519}, nil
	case *mldsa.PublicKey:
		set := parameterSets[key.Parameters()]
		if d.Mechanism != MechanismMLDSA {
			return nil, fmt.Errorf("is %s, which mechanism 0x%04x does not sign with", key.Parameters(), d.Mechanism)
		}
		if d.KeyBits != 0 && d.KeyBits != set.number {
			return nil, fmt.Errorf("is %s, its definition says ML-DSA-%d", key.Parameters(), d.KeyBits)
		}
		return []wire.SignatureScheme{set.scheme}, nil
	}
	return nil, fmt.Errorf("is of a kind (%T) that is not used", key)
}

var ecdsaCurves = map[elliptic.Curve]struct {
	name   string
	scheme wire.SignatureScheme
}{
	elliptic.P256(): {"P256", wire.ECDSAP256SHA256},
	elliptic.P384(): {"P384", wire.ECDSAP384SHA384},
	elliptic.P521(): {"P521", wire.ECDSAP521SHA512},
}

// parameterSets are those of FIPS 204, section 4.
var parameterSets = map[mldsa.Parameters]struct {
	number int
	scheme wire.SignatureScheme
}{
	mldsa.MLDSA44(): {44, wire.MLDSA44},
	mldsa.MLDSA65(): {65, wire.MLDSA65},
	mldsa.MLDSA87(): {87, wire.MLDSA87},
}

// Allows reports whether the key signs with scheme.
func (p *Public) Allows(scheme wire.SignatureScheme) bool { return slices.Contains(p.Schemes, scheme) }

var errSignature = errors.New("the signature does not verify")

// Verify checks a signature over signed: the digest where the scheme has a
// hash, the message where it has none.
func (p *Public) Verify(scheme wire.SignatureScheme, signed, signature []byte) error {
	hash := scheme.Hash()
	switch key := p.key.(type) {
	case *ecdsa.PublicKey:
		if p.Allows(scheme) && ecdsa.VerifyASN1(key, signed, signature) {
			return nil
		}
	case *rsa.PublicKey:
		switch scheme {
		case wire.RSAPKCS1SHA256, wire.RSAPKCS1SHA384, wire.RSAPKCS1SHA512:
			return rsa.VerifyPKCS1v15(key, hash, signed, signature)
		case wire.RSAPSSSHA256, wire.RSAPSSSHA384, wire.RSAPSSSHA512:
			return rsa.VerifyPSS(key, hash, signed, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
	case ed25519.PublicKey:
		if scheme == wire.Ed25519 && ed25519.Verify(key, signed, signature) {
			return nil
		}
	case *mldsa.PublicKey:
		if parameterSets[key.Parameters()].scheme == scheme {
			return mldsa.Verify(key, signed, signature, nil)
		}
	}
	return errSignature
}
