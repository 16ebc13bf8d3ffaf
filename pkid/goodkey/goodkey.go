// Package goodkey says whether a public key is one that nobody should certify:
// malformed, too small, or with a private key that others know or can find.
//
// [Usable] is what any key must be, and costs microseconds. [Policy] is asked
// for each key that somebody else made, in a CSR or on a token:
//
//   - RSA: factors that can be found (a small one, two that are close together;
//     of a CA also a modulus that is itself prime), keys of Infineon's faulty library (ROCA,
//     CVE-2017-15361), and Debian's (CVE-2008-0166).
//   - ECDSA: private keys so small that one finds them by trying.
//   - All: keys that the operator blocked, that were compromised, or that are a
//     CA's.
//
// The model is Boulder's package of the same name.
package goodkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
)

// Policy says which public keys are refused. What is nil is not asked. The zero
// Policy knows the weaknesses that a key itself shows.
type Policy struct {
	// Blocked are the keys and moduli in the operator's files.
	Blocked *Blocklist
	// Compromised tells whether a certificate for the key with this SHA-256 of
	// its SubjectPublicKeyInfo was revoked for key compromise.
	Compromised func(spki [sha256.Size]byte) bool
	// CA tells whether the SubjectPublicKeyInfo is that of a CA key.
	CA func(spki []byte) bool
}

// Check refuses a public key that a CA certificate must not have. The error
// says which weakness.
func (p *Policy) Check(key crypto.PublicKey) error {
	if _, err := p.check(key); err != nil {
		return err
	}
	if key, ok := key.(*rsa.PublicKey); ok {
		return checkPrime(key)
	}
	return nil
}

// CheckLeaf refuses a public key that an end entity's certificate must not
// have: beside the weak ones, those of CAs.
func (p *Policy) CheckLeaf(key crypto.PublicKey) error {
	spki, err := p.check(key)
	if err != nil {
		return err
	}
	if p.CA != nil && p.CA(spki) {
		return errors.New("the public key is that of a CA here, and is not for end entities")
	}
	return nil
}

// check gives the key's SubjectPublicKeyInfo. What somebody said of the key
// comes first: it is the better reason, and soon found.
func (p *Policy) check(key crypto.PublicKey) (spki []byte, err error) {
	if err := Usable(key); err != nil {
		return nil, err
	}
	if spki, err = x509.MarshalPKIXPublicKey(key); err != nil {
		return nil, fmt.Errorf("the public key cannot be encoded: %w", err)
	}
	sum := sha256.Sum256(spki)
	if p.Blocked.has(sum) {
		return nil, errors.New("the public key is blocked: it is in a file of blocked_keys")
	}
	if p.Compromised != nil && p.Compromised(sum) {
		return nil, errors.New("the public key is compromised: a certificate for it was revoked for that reason")
	}
	switch key := key.(type) {
	case *rsa.PublicKey:
		return spki, p.checkRSA(key)
	case *ecdsa.PublicKey:
		return spki, checkScalar(key)
	}
	return spki, nil
}

// Usable refuses keys that no program should use, and kinds that are not known
// here: RSA of 2048 to 8192 bits with an odd exponent from 65537 to 2^31-1,
// points of the curves P-224, P-256, P-384 and P-521, Ed25519 points of large
// order, and ML-DSA keys of the three parameter sets of FIPS 204, in which any
// octets of the right number are a public key. The error says why.
//
// Smaller exponents are legal in a certificate (RFC 8017 wants 3 or more), but
// FIPS 186-5 and the CA/Browser Forum are not alone in asking for 65537 or more:
// lax padding checks make forgers of those that verify with 3. What is above
// 2^31-1 crypto/rsa takes for an error.
func Usable(key crypto.PublicKey) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return usableRSA(key)
	case *ecdsa.PublicKey:
		return usableECDSA(key)
	case ed25519.PublicKey:
		return usableEd25519(key)
	case *mldsa.PublicKey:
		return nil // crypto/mldsa has no others
	}
	return fmt.Errorf("unsupported type of public key: %T", key)
}
