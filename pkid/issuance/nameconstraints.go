package issuance

import (
	"crypto/x509/pkix"
	"net"

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
