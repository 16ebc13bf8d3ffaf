package issuance

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"net/url"
	"time"
)

// RootRequest is what a self-signed CA certificate is to contain. Such a
// certificate has basic constraints (critical), the key usages CertSign and
// CRLSign, and an authority key identifier equal to its subject key identifier.
type RootRequest struct {
	// Subject must not be empty (RFC 5280, section 4.1.2.6).
	Subject pkix.Name

	DNSNames       []string
	EmailAddresses []string
	IPAddresses    []net.IP
	URIs           []*url.URL
	OtherNames     []OtherName

	// PublicKey is the key that will also sign.
	PublicKey crypto.PublicKey

	// DigitalSignature is added to the key usages; a CA needs it to sign OCSP
	// answers itself.
	DigitalSignature bool
	// MaxPathLength is how many CA certificates may follow below; -1 is any.
	MaxPathLength int
	// NameConstraints are critical when there are any.
	NameConstraints NameConstraints
	// URLs end in the root's own certificate.
	URLs URLs

	NotBefore, NotAfter time.Time

	// SignatureBits and PSS are as in Request.
	SignatureBits int
	PSS           bool
}

// PrepareRoot draws a serial number and builds a self-signed CA certificate.
// Errors are as those of Issuer.Prepare.
func PrepareRoot(req *RootRequest, now time.Time) (*Prepared, error) {
	if req.PublicKey == nil {
		return nil, errors.New("prepare root: no public key")
	}
	algorithm, err := signatureAlgorithm(req.PublicKey, req.SignatureBits, req.PSS)
	if err != nil {
		return nil, err
	}
	if err := checkPublicKey(req.PublicKey); err != nil {
		return nil, err
	}
	if err := checkValidity(req.NotBefore, req.NotAfter, now); err != nil {
		return nil, err
	}
	if req.MaxPathLength < -1 {
		return nil, Refuse("max_path_length is %d, where -1 (any) is the least", req.MaxPathLength)
	}
	subject, err := encodeName(nil, req.Subject)
	if err != nil {
		return nil, err
	}
	if len(subject) <= len(emptySubject) {
		return nil, Refuse("a CA certificate must have a subject: set common_name or one of the other subject fields")
	}
	spki, keyID, err := encodePublicKey(req.PublicKey)
	if err != nil {
		return nil, err
	}
	extensions, err := rootExtensions(req, keyID)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial(rand.Reader)
	if err != nil {
		return nil, err
	}
	return prepare(&tbsCertificate{
		serial:     serial,
		algorithm:  algorithmDER[algorithm],
		issuer:     subject,
		subject:    subject,
		notBefore:  req.NotBefore.Truncate(time.Second),
		notAfter:   req.NotAfter.Truncate(time.Second),
		publicKey:  spki,
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

func rootExtensions(req *RootRequest, keyID []byte) ([]pkix.Extension, error) {
	var g gathering
	usage := x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	if req.DigitalSignature {
		usage |= x509.KeyUsageDigitalSignature
	}
	g.add(oidKeyUsage, func() (pkix.Extension, error) { return keyUsage(usage) })
	g.add(oidBasicConstraints, func() (pkix.Extension, error) { return basicConstraints(true, req.MaxPathLength) })
	g.add(oidSubjectKeyID, func() (pkix.Extension, error) { return subjectKeyID(keyID) })
	g.add(oidAuthorityKeyID, func() (pkix.Extension, error) { return authorityKeyID(keyID) })
	aia, crls, err := urlExtensions(req.URLs)
	if err != nil {
		return nil, err
	}
	g.list = append(g.list, aia...)
	san, some, err := subjectAltName(&Request{
		DNSNames: req.DNSNames, EmailAddresses: req.EmailAddresses, IPAddresses: req.IPAddresses,
		URIs: req.URIs, OtherNames: req.OtherNames,
	}, false)
	if err != nil {
		return nil, err
	}
	if some {
		g.list = append(g.list, san)
	}
	if !req.NameConstraints.empty() {
		g.add(oidNameConstraints, func() (pkix.Extension, error) { return nameConstraints(&req.NameConstraints) })
	}
	g.list = append(g.list, crls...)
	return g.list, g.err
}
