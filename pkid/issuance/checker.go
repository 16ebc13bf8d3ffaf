package issuance

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
)

// checker verifies the signature over a message that is written to it, which
// x509 does only for one that is held whole. Here that is so for Ed25519
// and ML-DSA alone.
type checker struct {
	algorithm x509.SignatureAlgorithm
	hash      hash.Hash     // nil where the message itself is signed
	whole     *bytes.Buffer // the message, then
}

func newChecker(algorithm x509.SignatureAlgorithm) *checker {
	c := &checker{algorithm: algorithm}
	if h := signerOptions(algorithm).HashFunc(); h != 0 {
		c.hash = h.New()
	} else {
		c.whole = new(bytes.Buffer)
	}
	return c
}

// Write implements [io.Writer]; it never fails.
func (c *checker) Write(p []byte) (int, error) {
	if c.hash == nil {
		return c.whole.Write(p)
	}
	return c.hash.Write(p)
}

func (c *checker) verify(public crypto.PublicKey, signature []byte) error {
	opts := signerOptions(c.algorithm)
	switch key := public.(type) {
	case *rsa.PublicKey:
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(key, pss.Hash, c.hash.Sum(nil), signature, pss)
		}
		return rsa.VerifyPKCS1v15(key, opts.HashFunc(), c.hash.Sum(nil), signature)
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(key, c.hash.Sum(nil), signature) {
			return errors.New("ECDSA verification failure")
		}
		return nil
	case ed25519.PublicKey:
		if !ed25519.Verify(key, c.whole.Bytes(), signature) {
			return errors.New("Ed25519 verification failure")
		}
		return nil
	case *mldsa.PublicKey:
		return mldsa.Verify(key, c.whole.Bytes(), signature, nil)
	}
	return fmt.Errorf("no signature by a key of type %T", public)
}
