package issuance

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
)

// CSRRequest is what a certification request (RFC 2986) of a CA is to contain.
type CSRRequest struct {
	// Names may have an empty subject: whoever signs can give one.
	Names

	// BasicConstraints asks for them, with cA true; some signers want it.
	BasicConstraints bool
	// KeyUsage 0 asks for none.
	KeyUsage x509.KeyUsage

	// SignatureBits and PSS are as in Request, of the key that the request is
	// for.
	SignatureBits int
	PSS           bool
}

// CreateCSR has a certification request signed by the key that it is for,
// verifies it, and returns its DER. The error of the signer is wrapped.
func CreateCSR(req *CSRRequest, signer crypto.MessageSigner) ([]byte, error) {
	public := signer.Public()
	if err := checkPublicKey(public); err != nil {
		return nil, err
	}
	algorithm, err := signatureAlgorithm(public, req.SignatureBits, req.PSS)
	if err != nil {
		return nil, err
	}
	subject, err := encodeName(req.RawSubject, req.Subject)
	if err != nil {
		return nil, err
	}
	var g gathering
	if req.KeyUsage != 0 {
		g.add(oidKeyUsage, func() (pkix.Extension, error) { return keyUsage(req.KeyUsage) })
	}
	if req.BasicConstraints {
		g.add(oidBasicConstraints, func() (pkix.Extension, error) { return basicConstraints(true, -1) })
	}
	san, some, err := subjectAltName(&req.Names, len(subject) <= len(emptySubject))
	if err != nil {
		return nil, err
	}
	if some {
		g.list = append(g.list, san)
	}
	if g.err != nil {
		return nil, g.err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		RawSubject: subject, ExtraExtensions: g.list, SignatureAlgorithm: algorithm,
	}, signer)
	if err != nil {
		return nil, fmt.Errorf("sign certification request: %w", err)
	}
	parsed, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, Refuse("the certification request could not be read by those who get it: %s", err)
	}
	if err := parsed.CheckSignature(); err != nil {
		return nil, fmt.Errorf("sign certification request: the signature does not verify: %w", err)
	}
	return der, nil
}
