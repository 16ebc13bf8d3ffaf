package issuance

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"time"
)

// PrepareSelfIssued builds a copy of a self-issued CA certificate (subject and
// issuer are one name) below this issuer: with a serial number of its own, the
// issuer's name, authority key identifier and URLs, and otherwise as it was. So a
// new root that few know is certified by an old one that many know.
//
// The signature has the algorithm that the certificate had where the issuer's
// key can make it, else the issuer's own. With sameKind both keys must be of one
// kind. Errors are as those of Prepare.
func (i *Issuer) PrepareSelfIssued(cert *x509.Certificate, sameKind bool, now time.Time) (*Prepared, error) {
	switch {
	case !cert.BasicConstraintsValid || !cert.IsCA:
		return nil, Refuse("given certificate is not a CA certificate")
	case !bytes.Equal(cert.RawSubject, cert.RawIssuer):
		return nil, Refuse("given certificate is not self-issued: its issuer is not its subject")
	case len(cert.RawSubject) <= len(emptySubject):
		return nil, Refuse("given certificate has an empty subject")
	case samePublicKey(i.certificate.PublicKey, cert.PublicKey) == nil:
		return nil, Refuse("the public key of the given certificate is the issuer's own")
	}
	if err := checkPublicKey(cert.PublicKey); err != nil {
		return nil, err
	}
	if err := checkValidity(cert.NotBefore, cert.NotAfter, now); err != nil {
		return nil, err
	}
	algorithm, err := i.algorithmLike(cert, sameKind)
	if err != nil {
		return nil, err
	}
	if _, err := i.lengthBelow(cert.MaxPathLen); err != nil {
		return nil, err
	}
	extensions, err := i.replaceOwn(cert)
	if err != nil {
		return nil, err
	}
	serial, err := NewSerial()
	if err != nil {
		return nil, err
	}
	tbs := tbsCertificate{
		serial:     serial,
		algorithm:  algorithmDER[algorithm],
		issuer:     i.certificate.RawSubject,
		subject:    cert.RawSubject,
		notBefore:  cert.NotBefore,
		notAfter:   cert.NotAfter,
		publicKey:  cert.RawSubjectPublicKeyInfo,
		extensions: extensions,
	}
	return i.prepareCA(&tbs, algorithm, now)
}

// algorithmLike is the certificate's algorithm if the issuer's key can make it,
// else the issuer's own.
func (i *Issuer) algorithmLike(cert *x509.Certificate, must bool) (x509.SignatureAlgorithm, error) {
	if must && cert.PublicKeyAlgorithm != i.certificate.PublicKeyAlgorithm {
		return 0, Refuse("signing certificate's public key algorithm does not match submitted certificate's, and require_matching_certificate_algorithms is true")
	}
	for _, pss := range []bool{false, true} {
		for _, bits := range []int{256, 384, 512} {
			if can, err := signatureAlgorithm(i.certificate.PublicKey, bits, pss); err == nil && can == cert.SignatureAlgorithm {
				return can, nil
			}
		}
	}
	return signatureAlgorithm(i.certificate.PublicKey, 0, false)
}

// replaceOwn gives the certificate's extensions with those that speak for an
// issuer replaced by this issuer's.
func (i *Issuer) replaceOwn(cert *x509.Certificate) ([]pkix.Extension, error) {
	extensions := slices.DeleteFunc(slices.Clone(cert.Extensions), func(e pkix.Extension) bool { return ofIssuer(e.Id) })
	if find(extensions, oidSubjectKeyID) == nil {
		keyID, err := KeyID(cert.PublicKey)
		if err != nil {
			return nil, err
		}
		ski, err := subjectKeyID(keyID)
		if err != nil {
			return nil, err
		}
		extensions = append(extensions, ski)
	}
	return slices.Concat(extensions, []pkix.Extension{i.authorityKeyID}, i.authorityInfo, i.distribution), nil
}
