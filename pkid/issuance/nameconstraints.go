package issuance

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// NameConstraints limit the names below a CA (RFC 5280, section 4.2.1.10). DNS
// and URI domains are as there; an IP range of four or sixteen octets.
type NameConstraints struct {
	PermittedDNSDomains, ExcludedDNSDomains         []string
	PermittedIPRanges, ExcludedIPRanges             []*net.IPNet
	PermittedEmailAddresses, ExcludedEmailAddresses []string
	PermittedURIDomains, ExcludedURIDomains         []string
}

// empty reports whether nothing is constrained.
func (c *NameConstraints) empty() bool {
	return len(c.PermittedDNSDomains)+len(c.ExcludedDNSDomains)+len(c.PermittedIPRanges)+len(c.ExcludedIPRanges)+
		len(c.PermittedEmailAddresses)+len(c.ExcludedEmailAddresses)+len(c.PermittedURIDomains)+len(c.ExcludedURIDomains) == 0
}

func nameConstraints(c *NameConstraints) (pkix.Extension, error) {
	return extension(oidNameConstraints, true, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addSubtrees(b, 0, c.PermittedDNSDomains, c.PermittedIPRanges, c.PermittedEmailAddresses, c.PermittedURIDomains)
			addSubtrees(b, 1, c.ExcludedDNSDomains, c.ExcludedIPRanges, c.ExcludedEmailAddresses, c.ExcludedURIDomains)
		})
	})
}

func addSubtrees(b *cryptobyte.Builder, tag uint8, dns []string, ips []*net.IPNet, emails, uris []string) {
	if len(dns)+len(ips)+len(emails)+len(uris) == 0 {
		return
	}
	subtree := func(b *cryptobyte.Builder, fill func(b *cryptobyte.Builder)) { b.AddASN1(cbasn1.SEQUENCE, fill) }
	b.AddASN1(cbasn1.Tag(tag).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
		for _, name := range dns {
			subtree(b, func(b *cryptobyte.Builder) { addIA5(b, tagDNS, name) })
		}
		for _, r := range ips {
			subtree(b, func(b *cryptobyte.Builder) {
				b.AddASN1(tagIP, func(b *cryptobyte.Builder) {
					b.AddBytes(r.IP.Mask(r.Mask))
					b.AddBytes(r.Mask)
				})
			})
		}
		for _, name := range emails {
			subtree(b, func(b *cryptobyte.Builder) { addIA5(b, tagEmail, name) })
		}
		for _, name := range uris {
			subtree(b, func(b *cryptobyte.Builder) { addIA5(b, tagURI, name) })
		}
	})
}

// constraintCheck stands in for an issuer with name constraints: a CA with the
// same constraints and a key that exists for this process only. What it signs
// is verified by x509, so a name is refused before the real key is asked if,
// and only if, a Go client would refuse it afterwards.
type constraintCheck struct {
	certificate *x509.Certificate
	key         crypto.Signer
	roots       *x509.CertPool
}

// newConstraintCheck returns nil if the issuer has no name constraints.
func newConstraintCheck(issuer *x509.Certificate) (*constraintCheck, error) {
	var constraints *pkix.Extension
	for i := range issuer.Extensions {
		if issuer.Extensions[i].Id.Equal(oidNameConstraints) {
			constraints = &issuer.Extensions[i]
		}
	}
	if constraints == nil {
		return nil, nil
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		RawSubject:            issuer.RawSubject,
		NotBefore:             time.Unix(0, 0),
		NotAfter:              time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		BasicConstraintsValid: true,
		IsCA:                  true,
		SubjectKeyId:          issuer.SubjectKeyId,
		ExtraExtensions:       []pkix.Extension{*constraints},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("stand-in for an issuer with name constraints: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("stand-in for an issuer with name constraints: %w", err)
	}
	check := &constraintCheck{certificate: cert, key: key, roots: x509.NewCertPool()}
	check.roots.AddCert(cert)
	return check, nil
}

// permits returns a *Refusal if the issuer's name constraints forbid a name of
// the certificate. The certificate's signature is not looked at.
func (c *constraintCheck) permits(tbs tbsCertificate) error {
	tbs.algorithm = algorithmDER[x509.PureEd25519]
	body, err := tbs.encode()
	if err != nil {
		return err
	}
	signature, err := c.key.Sign(rand.Reader, body, crypto.Hash(0))
	if err != nil {
		return err
	}
	der, err := assemble(body, tbs.algorithm, signature)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	cert.UnhandledCriticalExtensions = nil // asked for, and not the question here
	_, err = cert.Verify(x509.VerifyOptions{
		Roots:       c.roots,
		CurrentTime: tbs.notBefore,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return Refuse("the issuer's name constraints do not permit this certificate: %s", err)
	}
	return nil
}
