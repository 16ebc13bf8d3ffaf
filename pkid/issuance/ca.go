package issuance

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"time"
)

// CARequest is what a CA certificate, a root's or an intermediate's, is to
// contain but for what its issuer adds. Such a certificate has basic constraints
// (critical), the key usages CertSign and CRLSign, and an authority key
// identifier; a root's is equal to its subject key identifier.
type CARequest struct {
	// Names has a subject that is not empty (RFC 5280, section 4.1.2.6).
	Names

	// Serial is the serial number, from NewSerial; nil: it is drawn.
	Serial *big.Int

	// PublicKey is the CA's key; a root's will also sign.
	PublicKey crypto.PublicKey
	// SubjectKeyID is as in Request.
	SubjectKeyID []byte

	// KeyUsage is added to the two of every CA. DigitalSignature is what a CA
	// needs to sign OCSP answers itself.
	KeyUsage x509.KeyUsage
	// MaxPathLength is how many CA certificates may follow below; -1 is any,
	// or as many as the issuer allows.
	MaxPathLength int
	// NameConstraints are critical when there are any.
	NameConstraints NameConstraints
	// ExtraExtensions are copied, and replace the extension of the same OID
	// that the fields above would give. Those that speak for the issuer
	// (authority key identifier, AIA, CRL distribution points, freshest CRL),
	// basic constraints and key usage are refused.
	ExtraExtensions []pkix.Extension
	// URLs end in a root's own certificate; an intermediate's has its issuer's.
	URLs URLs

	NotBefore, NotAfter time.Time

	// SignatureBits and PSS are as in Request.
	SignatureBits int
	PSS           bool
}

// caParts are the parts of a certificate that a CARequest gives.
type caParts struct {
	subject, spki, keyID []byte
	serial               *big.Int
}

// parts checks what can be checked without knowing who signs, and draws a
// serial number.
func (req *CARequest) parts(now time.Time) (*caParts, error) {
	if req.PublicKey == nil {
		return nil, errors.New("prepare CA certificate: no public key")
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
	subject, err := encodeName(req.RawSubject, req.Subject)
	if err != nil {
		return nil, err
	}
	if len(subject) <= len(emptySubject) {
		return nil, Refuse("a CA certificate must have a subject: set common_name or one of the other subject fields")
	}
	if err := checkExtraOfCA(req.ExtraExtensions, !req.NameConstraints.empty()); err != nil {
		return nil, err
	}
	spki, keyID, err := encodePublicKey(req.PublicKey)
	if err != nil {
		return nil, err
	}
	if len(req.SubjectKeyID) > 0 {
		keyID = req.SubjectKeyID
	}
	serial, err := serialOr(req.Serial)
	return &caParts{subject, spki, keyID, serial}, err
}

// checkExtraOfCA refuses extensions that are not the subject's to give.
func checkExtraOfCA(extra []pkix.Extension, constrained bool) error {
	for n, e := range extra {
		switch {
		case ofIssuer(e.Id):
			return Refuse("the extension %v is the issuer's to give and cannot be asked for", e.Id)
		case e.Id.Equal(oidBasicConstraints), e.Id.Equal(oidKeyUsage):
			return errors.New("prepare CA certificate: basic constraints and key usage are fields")
		case e.Id.Equal(oidNameConstraints) && constrained:
			return Refuse("both the CSR and the request have name constraints: leave one out")
		case find(extra[:n], e.Id) != nil:
			return Refuse("the extension %v is there twice", e.Id)
		}
	}
	return nil
}

// extensions gathers a CA certificate's extensions in the order of
// x509.CreateCertificate. authority is the authority key identifier; aia and
// crls are as urlExtensions gives them.
func (req *CARequest) extensions(keyID []byte, authority pkix.Extension, aia, crls []pkix.Extension, maxPathLength int) ([]pkix.Extension, error) {
	g := gathering{extra: req.ExtraExtensions}
	g.add(oidKeyUsage, func() (pkix.Extension, error) {
		return keyUsage(x509.KeyUsageCertSign | x509.KeyUsageCRLSign | req.KeyUsage)
	})
	g.add(oidBasicConstraints, func() (pkix.Extension, error) { return basicConstraints(true, maxPathLength) })
	g.add(oidSubjectKeyID, func() (pkix.Extension, error) { return subjectKeyID(keyID) })
	g.list = append(append(g.list, authority), aia...)
	san, some, err := subjectAltName(&req.Names, false)
	if err != nil {
		return nil, err
	}
	if some {
		g.add(oidSubjectAltName, func() (pkix.Extension, error) { return san, nil })
	}
	if !req.NameConstraints.empty() {
		g.add(oidNameConstraints, func() (pkix.Extension, error) { return nameConstraints(&req.NameConstraints) })
	}
	g.list = append(g.list, crls...)
	for _, e := range req.ExtraExtensions {
		e.Critical = criticalOfCA(e.Id, e.Critical)
		g.list = append(g.list, e)
	}
	return g.list, g.err
}

// criticalOfCA is whether a copied extension is critical: RFC 5280 says so of
// some, whatever was asked for.
func criticalOfCA(id asn1.ObjectIdentifier, asked bool) bool {
	for _, must := range []asn1.ObjectIdentifier{oidNameConstraints, oidPolicyConstraints, oidInhibitAnyPolicy} {
		if id.Equal(must) {
			return true
		}
	}
	return asked && !id.Equal(oidSubjectKeyID) // which must not be
}
