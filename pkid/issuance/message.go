package issuance

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
)

// SignMessage has signed what is neither a certificate nor a CRL and is built
// elsewhere: an OCSP response. Algorithm 0 is what the signer's key signs with
// by default. It returns the DER of the AlgorithmIdentifier beside the
// signature. The error of the signer is wrapped; the signature is not verified
// here, hsmd gives out none that does not verify.
func SignMessage(message []byte, algorithm x509.SignatureAlgorithm, signer crypto.MessageSigner) (identifier, signature []byte, err error) {
	if algorithm == 0 {
		if algorithm, err = signatureAlgorithm(signer.Public(), 0, false); err != nil {
			return nil, nil, err
		}
	}
	identifier, known := algorithmDER[algorithm]
	if !known {
		return nil, nil, fmt.Errorf("sign message: no signature algorithm %v", algorithm)
	}
	signature, err = signer.SignMessage(rand.Reader, message, signerOptions(algorithm))
	if err != nil {
		return nil, nil, fmt.Errorf("sign message: %w", err)
	}
	return identifier, signature, nil
}

// PublicKeyBits returns the value of the BIT STRING in a SubjectPublicKeyInfo
// (RFC 5280, section 4.1.2.7), of which key identifiers and the key hashes of
// OCSP are made.
func PublicKeyBits(spki []byte) ([]byte, error) { return publicKeyBits(spki) }
