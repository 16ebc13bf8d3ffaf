package issuance

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"time"

	"github.com/hsmpki/hsmpki/pkid/goodkey"
)

// maxClockLead is how far notBefore may lie ahead; hsmd signs nothing beyond.
const maxClockLead = 5 * time.Minute

// ofIssuer tells whether an extension speaks for the issuer: nobody else gives
// one, or takes it from an earlier certificate.
func ofIssuer(id asn1.ObjectIdentifier) bool {
	return slices.ContainsFunc([]asn1.ObjectIdentifier{
		oidAuthorityKeyID, oidAuthorityInfo, oidCRLDistribution, oidFreshestCRL, oidIssuerAltName,
	}, id.Equal)
}

// checkExtra refuses extensions that are the issuer's to give or that only a CA
// certificate may have.
func checkExtra(extra []pkix.Extension) error {
	onlyOfCA := []asn1.ObjectIdentifier{oidNameConstraints, oidPolicyMappings, oidPolicyConstraints, oidInhibitAnyPolicy}
	for _, e := range extra {
		if ofIssuer(e.Id) || slices.ContainsFunc(onlyOfCA, e.Id.Equal) {
			return Refuse("the extension %v is the issuer's to give and cannot be asked for", e.Id)
		}
	}
	return nil
}

// checkPublicKey refuses keys that nobody should certify, and kinds that
// x509 cannot encode. Whose key it is, and whether others can find its private
// key, is for the caller to ask (goodkey.Policy).
func checkPublicKey(key crypto.PublicKey) error {
	if err := goodkey.Usable(key); err != nil {
		return Refuse("%s", err)
	}
	return nil
}

// signing are the key usages of a key that signs and does nothing else.
const signing = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageCertSign | x509.KeyUsageCRLSign

// lintKeyUsage holds the key usage of an ML-DSA key to what RFC 9881, section 5
// allows.
func lintKeyUsage(c *x509.Certificate) error {
	if c.PublicKeyAlgorithm != x509.MLDSA || find(c.Extensions, oidKeyUsage) == nil {
		return nil
	}
	if c.KeyUsage&^signing != 0 || c.KeyUsage == 0 {
		return Refuse("the key usage of an ML-DSA key may be DigitalSignature, ContentCommitment, CertSign and CRLSign only, and must be one of them")
	}
	return nil
}

func checkValidity(notBefore, notAfter, now time.Time) error {
	switch {
	case !notAfter.After(notBefore):
		return Refuse("The certificate's Not Before (%s) is later than the certificate's Not After (%s)",
			notBefore.UTC().Format(time.RFC3339Nano), notAfter.UTC().Format(time.RFC3339Nano))
	case !notAfter.After(now):
		return Refuse("the certificate's Not After (%s) has passed already", notAfter.UTC().Format(time.RFC3339))
	case notBefore.After(now.Add(maxClockLead)):
		return Refuse("the certificate's Not Before (%s) is more than %s ahead", notBefore.UTC().Format(time.RFC3339), maxClockLead)
	case notBefore.UTC().Year() < 1950:
		return Refuse("the certificate's Not Before (%s) is before 1950, where not_before_duration may not reach", notBefore.UTC().Format(time.RFC3339))
	case notAfter.UTC().Year() > 9999:
		return Refuse("the certificate's Not After is beyond the year 9999")
	}
	return nil
}

// checkIssuerValidity refuses to issue with a certificate that is not valid now:
// nobody would accept the result.
func checkIssuerValidity(issuer *x509.Certificate, now time.Time) error {
	switch {
	case now.After(issuer.NotAfter):
		return Refuse("the issuer %q cannot issue: its certificate expired at %s", issuer.Subject, issuer.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(issuer.NotBefore):
		return Refuse("the issuer %q cannot issue: its certificate is not valid before %s", issuer.Subject, issuer.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// lintEndEntity looks at the certificate as a relying party will read it, the
// copied extensions included.
func lintEndEntity(c *x509.Certificate) error {
	switch {
	case c.IsCA:
		return Refuse("the basic constraints ask for a CA certificate")
	case c.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		return Refuse("the key usages CertSign and CRLSign are for CA certificates")
	case bytes.Equal(c.RawSubject, emptySubject) && find(c.Extensions, oidSubjectAltName) == nil:
		return Refuse("the certificate would name nobody: neither a subject nor an alternative name is given")
	}
	if ski := find(c.Extensions, oidSubjectKeyID); ski != nil && ski.Critical {
		return Refuse("the subject key identifier must not be critical")
	}
	return nil
}
