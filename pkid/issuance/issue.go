package issuance

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Issue has the prepared certificate signed, verifies the signature with the
// issuer's public key, and returns the certificate as DER and parsed. It
// accepts only what this issuer prepared, and that once, even if signing fails:
// after an error the serial number is not used again.
//
// The error of the signer is wrapped, so that the caller can tell a busy key
// from a broken one.
func (i *Issuer) Issue(p *Prepared, signer crypto.MessageSigner) ([]byte, *x509.Certificate, error) {
	if p.issuer != i {
		return nil, nil, errors.New("issue: the certificate was prepared by another issuer")
	}
	return p.sign(i.certificate, signer)
}

// sign completes p with a signature by ca's key.
func (p *Prepared) sign(ca *x509.Certificate, signer crypto.MessageSigner) ([]byte, *x509.Certificate, error) {
	if err := samePublicKey(signer.Public(), ca.PublicKey); err != nil {
		return nil, nil, fmt.Errorf("issue: %w", err)
	}
	if p.used.Swap(true) {
		return nil, nil, errors.New("issue: this certificate was issued already")
	}
	signature, err := signer.SignMessage(rand.Reader, p.tbs, signerOptions(p.algorithm))
	if err != nil {
		return nil, nil, fmt.Errorf("sign certificate: %w", err)
	}
	if err := ca.CheckSignature(p.algorithm, p.tbs, signature); err != nil {
		return nil, nil, fmt.Errorf("sign certificate: the signature does not verify: %w", err)
	}
	der, err := assemble(p.tbs, algorithmDER[p.algorithm], signature)
	if err != nil {
		return nil, nil, fmt.Errorf("sign certificate: %w", err)
	}
	if err := sameContent(der, p.parsed.RawTBSCertificate); err != nil {
		return nil, nil, fmt.Errorf("sign certificate: %w", err)
	}
	// x509 has read these bytes already; only the signature was not one then.
	cert := *p.parsed
	cert.Raw, cert.Signature = der, signature
	return der, &cert, nil
}

// sameContent compares what is inside a signature, in a certificate or CRL that
// is to be handed out, with what was looked at before: byte for byte.
func sameContent(signed, looked []byte) error {
	in := cryptobyte.String(signed)
	var outer, content cryptobyte.String
	if !in.ReadASN1(&outer, asn1.SEQUENCE) || !outer.ReadASN1Element(&content, asn1.SEQUENCE) || !bytes.Equal(content, looked) {
		return errors.New("what was signed is not what was checked before")
	}
	return nil
}
