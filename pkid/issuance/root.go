package issuance

import (
	"crypto"
	"crypto/x509"
	"errors"
	"time"
)

// PrepareRoot draws a serial number and builds a self-signed CA certificate.
// Errors are as those of Issuer.Prepare.
func PrepareRoot(req *CARequest, now time.Time) (*Prepared, error) {
	parts, err := req.parts(now)
	if err != nil {
		return nil, err
	}
	algorithm, err := signatureAlgorithm(req.PublicKey, req.SignatureBits, req.PSS)
	if err != nil {
		return nil, err
	}
	authority, err := authorityKeyID(parts.keyID)
	if err != nil {
		return nil, err
	}
	aia, crls, err := urlExtensions(req.URLs)
	if err != nil {
		return nil, err
	}
	extensions, err := req.extensions(parts.keyID, authority, aia, crls, req.MaxPathLength)
	if err != nil {
		return nil, err
	}
	return prepare(&tbsCertificate{
		serial:     parts.serial,
		algorithm:  algorithmDER[algorithm],
		issuer:     parts.subject,
		subject:    parts.subject,
		notBefore:  req.NotBefore.Truncate(time.Second),
		notAfter:   req.NotAfter.Truncate(time.Second),
		publicKey:  parts.spki,
		extensions: extensions,
	}, algorithm, req.PublicKey)
}

// IssueRoot has the prepared root sign itself; signer is its key. Otherwise it
// is as Issuer.Issue.
func IssueRoot(p *Prepared, signer crypto.MessageSigner) ([]byte, *x509.Certificate, error) {
	if p.issuer != nil {
		return nil, nil, errors.New("issue root: the certificate was prepared by an issuer")
	}
	return p.sign(p.parsed, signer)
}
