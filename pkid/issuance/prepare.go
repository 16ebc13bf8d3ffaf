package issuance

import (
	"crypto"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"sync/atomic"
	"time"
)

// Prepared is a certificate that lacks only its signature: complete, checked,
// with its serial number drawn. It can be issued once.
type Prepared struct {
	issuer    *Issuer // nil for a root
	serial    *big.Int
	algorithm x509.SignatureAlgorithm
	tbs       []byte
	// parsed is what x509 reads in tbs with a dummy signature.
	parsed *x509.Certificate
	used   atomic.Bool
}

// SerialNumber is the certificate's serial number, not to be changed.
func (p *Prepared) SerialNumber() *big.Int { return p.serial }

// NotBefore is the first second at which the certificate is valid.
func (p *Prepared) NotBefore() time.Time { return p.parsed.NotBefore }

// NotAfter is the last second at which the certificate is valid.
func (p *Prepared) NotAfter() time.Time { return p.parsed.NotAfter }

// Unsigned is the certificate with a dummy of the right length in the place of
// its signature (DER, not to be changed), for those who look at it before the
// key is asked. What is issued is the same but for the signature.
func (p *Prepared) Unsigned() []byte { return p.parsed.Raw }

// SelfSigned reports whether the certificate's own key will sign it, as a root's.
func (p *Prepared) SelfSigned() bool { return p.issuer == nil }

// Prepare draws a serial number and builds the certificate for req. All that
// can be known to be wrong is found here, before the key is asked: what is
// wrong with the request is a *Refusal, any other error is a fault.
func (i *Issuer) Prepare(req *Request, now time.Time) (*Prepared, error) {
	algorithm, err := signatureAlgorithm(i.certificate.PublicKey, req.SignatureBits, req.PSS)
	if err != nil {
		return nil, err
	}
	if err := checkPublicKey(req.PublicKey); err != nil {
		return nil, err
	}
	if samePublicKey(i.certificate.PublicKey, req.PublicKey) == nil {
		return nil, Refuse("the public key is the issuer's own")
	}
	if err := checkValidity(req.NotBefore, req.NotAfter, now); err != nil {
		return nil, err
	}
	if err := checkIssuerValidity(i.certificate, now); err != nil {
		return nil, err
	}
	spki, keyID, err := encodePublicKey(req.PublicKey)
	if err != nil {
		return nil, err
	}
	if len(req.SubjectKeyID) > 0 {
		keyID = req.SubjectKeyID
	}
	subject, err := encodeName(req.RawSubject, req.Subject)
	if err != nil {
		return nil, err
	}
	extensions, err := i.extensions(req, keyID, len(subject) <= len(emptySubject))
	if err != nil {
		return nil, err
	}
	serial, err := serialOr(req.Serial)
	if err != nil {
		return nil, err
	}
	tbs := tbsCertificate{
		serial:     serial,
		algorithm:  algorithmDER[algorithm],
		issuer:     i.certificate.RawSubject,
		notBefore:  req.NotBefore.Truncate(time.Second),
		notAfter:   req.NotAfter.Truncate(time.Second),
		subject:    subject,
		publicKey:  spki,
		extensions: extensions,
	}
	p, err := prepare(&tbs, algorithm, i.certificate.PublicKey)
	if err != nil {
		return nil, err
	}
	p.issuer = i
	if err := lintEndEntity(p.parsed); err != nil {
		return nil, err
	}
	if err := i.permits(p.parsed); err != nil {
		return nil, err
	}
	return p, nil
}

// prepare encodes tbs and has x509 read it; key is the one that will sign.
func prepare(tbs *tbsCertificate, algorithm x509.SignatureAlgorithm, key crypto.PublicKey) (*Prepared, error) {
	body, err := tbs.encode()
	if err != nil {
		return nil, err
	}
	dummy, err := dummySignature(key)
	if err != nil {
		return nil, err
	}
	unsigned, err := assemble(body, tbs.algorithm, dummy)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(unsigned)
	if err != nil {
		return nil, Refuse("the certificate could not be read by those who get it: %s", err)
	}
	if err := lintKeyUsage(parsed); err != nil {
		return nil, err
	}
	return &Prepared{serial: tbs.serial, algorithm: algorithm, tbs: body, parsed: parsed}, nil
}

// extensions gathers the extensions in the order of x509.CreateCertificate.
// One of the request's ExtraExtensions takes the place of ours.
func (i *Issuer) extensions(req *Request, keyID []byte, emptySubject bool) ([]pkix.Extension, error) {
	if err := checkExtra(req.ExtraExtensions); err != nil {
		return nil, err
	}
	g := gathering{extra: req.ExtraExtensions, list: make([]pkix.Extension, 0, 10+len(req.ExtraExtensions))}
	if req.KeyUsage != 0 {
		g.add(oidKeyUsage, func() (pkix.Extension, error) { return keyUsage(req.KeyUsage) })
	}
	if len(req.ExtendedKeyUsage)+len(req.ExtendedKeyUsageOIDs) > 0 {
		g.add(oidExtendedKeyUsage, func() (pkix.Extension, error) {
			return extendedKeyUsage(req.ExtendedKeyUsage, req.ExtendedKeyUsageOIDs)
		})
	}
	if req.BasicConstraints {
		g.add(oidBasicConstraints, func() (pkix.Extension, error) { return basicConstraints(false, -1) })
	}
	g.add(oidSubjectKeyID, func() (pkix.Extension, error) { return subjectKeyID(keyID) })
	g.list = append(g.list, i.authorityKeyID)
	g.list = append(g.list, i.authorityInfo...)
	if san, some, err := subjectAltName(&req.Names, emptySubject); err != nil {
		return nil, err
	} else if some {
		g.add(oidSubjectAltName, func() (pkix.Extension, error) { return san, nil })
	}
	if len(req.Policies) > 0 {
		g.add(oidCertificatePolicies, func() (pkix.Extension, error) { return certificatePolicies(req.Policies) })
	}
	g.list = append(g.list, i.distribution...)
	for _, e := range req.ExtraExtensions {
		if e.Id.Equal(oidSubjectAltName) && emptySubject {
			e.Critical = true // RFC 5280, section 4.2.1.6
		}
		g.list = append(g.list, e)
	}
	return g.list, g.err
}

// gathering is a list of extensions in the making, with its first error.
type gathering struct {
	extra, list []pkix.Extension
	err         error
}

func (g *gathering) add(id asn1.ObjectIdentifier, make func() (pkix.Extension, error)) {
	if g.err != nil || find(g.extra, id) != nil {
		return
	}
	e, err := make()
	g.list, g.err = append(g.list, e), err
}

func find(extensions []pkix.Extension, id asn1.ObjectIdentifier) *pkix.Extension {
	for i := range extensions {
		if extensions[i].Id.Equal(id) {
			return &extensions[i]
		}
	}
	return nil
}

// encodePublicKey returns the SubjectPublicKeyInfo and the key identifier of
// RFC 5280, section 4.2.1.2, method 1.
func encodePublicKey(key crypto.PublicKey) (spki, keyID []byte, err error) {
	spki, err = x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode public key: %w", err)
	}
	bits, err := publicKeyBits(spki)
	if err != nil {
		return nil, nil, err
	}
	sum := sha1.Sum(bits)
	return spki, sum[:], nil
}

// KeyID is the key identifier that certificates for a public key have (RFC
// 5280, section 4.2.1.2, method 1).
func KeyID(key crypto.PublicKey) ([]byte, error) {
	_, id, err := encodePublicKey(key)
	return id, err
}
