package issuance

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The context tags of GeneralName (RFC 5280, section 4.2.1.6).
const (
	tagOther = cbasn1.Tag(0x80 | 0x20)
	tagEmail = cbasn1.Tag(0x80 | 1)
	tagDNS   = cbasn1.Tag(0x80 | 2)
	tagURI   = cbasn1.Tag(0x80 | 6)
	tagIP    = cbasn1.Tag(0x80 | 7)
)

// subjectAltName encodes a request's alternative names: DNS, e-mail, IP and URI
// names, then other names. It is critical when the subject is empty (RFC 5280,
// section 4.2.1.6). There is no extension without a name.
func subjectAltName(n *Names, emptySubject bool) (pkix.Extension, bool, error) {
	if len(n.DNSNames)+len(n.EmailAddresses)+len(n.IPAddresses)+len(n.URIs)+len(n.OtherNames) == 0 {
		return pkix.Extension{}, false, nil
	}
	e, err := extension(oidSubjectAltName, emptySubject, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, name := range n.DNSNames {
				addIA5(b, tagDNS, name)
			}
			for _, name := range n.EmailAddresses {
				addIA5(b, tagEmail, name)
			}
			for _, ip := range n.IPAddresses {
				addIP(b, ip)
			}
			for _, uri := range n.URIs {
				addIA5(b, tagURI, uri.String())
			}
			for _, name := range n.OtherNames {
				addOtherName(b, name)
			}
		})
	})
	return e, true, err
}

// addIA5 writes a name that is an IA5String under an implicit tag. An empty one
// would read as a name without a value, which RFC 5280 forbids.
func addIA5(b *cryptobyte.Builder, tag cbasn1.Tag, name string) {
	if name == "" {
		b.SetError(&Refusal{Reason: "a name is empty"})
		return
	}
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			b.SetError(Refuse("the name %q has characters outside ASCII", name))
			return
		}
	}
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
}

func addIP(b *cryptobyte.Builder, ip net.IP) {
	octets := ip.To4() // four octets wherever that is possible
	if octets == nil {
		octets = ip.To16()
	}
	if octets == nil {
		b.SetError(fmt.Errorf("an IP address of %d octets", len(ip)))
		return
	}
	b.AddASN1(tagIP, func(b *cryptobyte.Builder) { b.AddBytes(octets) })
}

func addOtherName(b *cryptobyte.Builder, name OtherName) {
	if !utf8.ValidString(name.Value) {
		b.SetError(Refuse("the value of the other name %v is not UTF-8", name.Type))
		return
	}
	b.AddASN1(tagOther, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(name.Type)
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(name.Value)) })
		})
	})
}

// encodeName returns raw if it is there, else the DER of the name. Empty values
// and those that are not UTF-8 are refused.
func encodeName(raw []byte, name pkix.Name) ([]byte, error) {
	if len(raw) > 0 {
		return raw, nil
	}
	rdns := name.ToRDNSequence()
	for _, rdn := range rdns {
		for _, a := range rdn {
			if s, ok := a.Value.(string); ok && (s == "" || !utf8.ValidString(s)) {
				return nil, Refuse("the subject's attribute %v is empty or not UTF-8", a.Type)
			}
		}
	}
	der, err := asn1.Marshal(rdns)
	if err != nil {
		return nil, fmt.Errorf("encode subject: %w", err)
	}
	return der, nil
}
