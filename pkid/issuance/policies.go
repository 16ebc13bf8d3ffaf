package issuance

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The two policy qualifiers of RFC 5280, section 4.2.1.4.
var (
	oidQualifierCPS    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 2, 1}
	oidQualifierNotice = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 2, 2}
)

// maxNotice is the longest explicitText that RFC 5280 allows, in characters.
const maxNotice = 200

// Check returns a *Refusal if the qualifiers cannot be written.
func (p *Policy) Check() error {
	if n := utf8.RuneCountInString(p.Notice); n > maxNotice || !utf8.ValidString(p.Notice) {
		return Refuse("the notice of policy %v is not UTF-8 or longer than %d characters", p.ID, maxNotice)
	}
	for i := range len(p.CPS) {
		if p.CPS[i] >= utf8.RuneSelf {
			return Refuse("the cps of policy %v has characters outside ASCII", p.ID)
		}
	}
	return nil
}

func certificatePolicies(policies []Policy) (pkix.Extension, error) {
	return extension(oidCertificatePolicies, false, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, p := range policies {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(p.ID)
					addQualifiers(b, p)
				})
			}
		})
	})
}

func addQualifiers(b *cryptobyte.Builder, p Policy) {
	if p.CPS == "" && p.Notice == "" {
		return
	}
	if err := p.Check(); err != nil {
		b.SetError(err)
		return
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if p.CPS != "" {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidQualifierCPS)
				addIA5(b, cbasn1.IA5String, p.CPS)
			})
		}
		if p.Notice == "" {
			return
		}
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidQualifierNotice)
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // UserNotice, explicitText alone
				b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(p.Notice)) })
			})
		})
	})
}
