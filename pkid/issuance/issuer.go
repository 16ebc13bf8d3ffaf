// Package issuance builds certificates and revocation lists and has them
// signed with a signer that it is given. It knows RFC 5280 and nothing else:
// no storage, no network, no clock of its own, no roles. What may be asked for
// is decided before (pkid/role); what is done with the result, after (pkid/ca).
//
// Start with Issuer.Prepare, which checks all that can be checked before the
// key is asked, and Issuer.Issue, which asks it.
package issuance

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"sync"
)

// URLs say where relying parties find what belongs to an issuer. They end in
// the certificates that it issues (RFC 5280, sections 4.2.1.13, 4.2.1.15 and
// 4.2.2.1). Empty lists leave the extension out.
type URLs struct {
	// IssuingCertificates serve the issuer's own certificate (caIssuers).
	IssuingCertificates []string
	// CRLDistributionPoints serve its complete CRL.
	CRLDistributionPoints []string
	// DeltaCRLDistributionPoints serve its delta CRL (FreshestCRL).
	DeltaCRLDistributionPoints []string
	// OCSPServers answer for its certificates' status.
	OCSPServers []string
}

// Issuer is a CA certificate and the URLs that its certificates carry. It is
// immutable and may be used by many goroutines; the key is given at each act.
type Issuer struct {
	certificate *x509.Certificate
	urls        URLs
	// The extensions that every certificate of this issuer carries.
	authorityKeyID              pkix.Extension
	authorityInfo, distribution []pkix.Extension
	// paths are the ways up from the issuer that relying parties may take;
	// found at the first use, as it costs verifying signatures.
	paths func() []path
}

// NewIssuer returns the issuer with this certificate, or an error if a relying
// party would refuse what it signs: it must be a CA (RFC 5280, section
// 4.2.1.9), have keyCertSign if it has a key usage at all (4.2.1.3), and have a
// key that package issuance can sign with. A certificate without a subject key
// identifier has the one that is made of its key (4.2.1.1).
//
// above are the CA certificates known above it, in any order, cross-certificates
// and strangers among them: what is issued must be acceptable on one of the
// paths through them, with its names and with the length of the path.
func NewIssuer(cert *x509.Certificate, urls URLs, above ...*x509.Certificate) (*Issuer, error) {
	switch {
	case !cert.BasicConstraintsValid || !cert.IsCA:
		return nil, errors.New("issuer: the certificate is not a CA certificate")
	case cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, errors.New("issuer: the certificate's key usage does not allow signing certificates")
	case len(cert.RawSubject) <= len(emptySubject):
		return nil, errors.New("issuer: the certificate has an empty subject")
	}
	if _, err := signatureAlgorithm(cert.PublicKey, 0, false); err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	i := &Issuer{certificate: cert, urls: urls}
	keyID := cert.SubjectKeyId
	var err error
	if len(keyID) == 0 {
		if keyID, err = KeyID(cert.PublicKey); err != nil {
			return nil, fmt.Errorf("issuer: %w", err)
		}
	}
	if i.authorityKeyID, err = authorityKeyID(keyID); err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	if i.authorityInfo, i.distribution, err = urlExtensions(urls); err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	i.paths = sync.OnceValue(func() []path { return findPaths(cert, above) })
	return i, nil
}

// Certificate is the issuer's own certificate, not to be changed.
func (i *Issuer) Certificate() *x509.Certificate { return i.certificate }

// URLs are the URLs that certificates of this issuer carry.
func (i *Issuer) URLs() URLs { return i.urls }

// SignatureAlgorithm is what the issuer signs with unless another hash or PSS is
// asked for.
func (i *Issuer) SignatureAlgorithm() x509.SignatureAlgorithm {
	algorithm, _ := signatureAlgorithm(i.certificate.PublicKey, 0, false) // NewIssuer has seen it
	return algorithm
}

func samePublicKey(a, b crypto.PublicKey) error {
	if k, ok := a.(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(b) {
		return errors.New("the signer's public key is not the certificate's")
	}
	return nil
}

// emptySubject is the DER of a Name without attributes.
var emptySubject = []byte{0x30, 0x00}

// Refusal says that a request cannot be fulfilled as it stands, in words for
// the one who made it. It never tells of a fault on this side.
type Refusal struct {
	// Reason is the whole text.
	Reason string
}

// Error returns the reason.
func (r *Refusal) Error() string { return r.Reason }

// Refuse returns a *Refusal with a formatted reason.
func Refuse(format string, args ...any) error {
	return &Refusal{Reason: fmt.Sprintf(format, args...)}
}
