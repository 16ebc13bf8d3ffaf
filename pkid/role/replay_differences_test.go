package role_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"
)

// differences are the kinds in which our answers are not the recorded server's,
// and why. README.md says the same at more length.
var differences = []struct {
	why   string
	match func(l line, server, ours string) bool
}{
	{
		"not_after of a role is parsed when the role is written, not at each request",
		func(l line, _, ours string) bool {
			return l.Role["not_after"] == "tomorrow" && ours == "400 " || strings.HasPrefix(ours, `400 not_after: parsing time "tomorrow"`)
		},
	},
	{
		"a not_after that is no time is refused by name of the parameter",
		func(_ line, server, ours string) bool {
			return strings.HasPrefix(server, "400 parsing time ") && ours == strings.Replace(server, "400 ", "400 not_after: ", 1)
		},
	},
	{
		"a not_after that has passed is refused; the recorded server does so for issue, and signs a CSR for a certificate that is dead at birth",
		func(l line, server, ours string) bool {
			return strings.HasSuffix(l.Case, ".sign") && strings.Contains(server, "life=2001-01-01") && strings.HasPrefix(ours, "400 The certificate's")
		},
	},
	{
		"a not_after that is asked for is cut to the role's max_ttl, as newer servers do",
		func(l line, server, ours string) bool {
			return l.Role["max_ttl"] != nil && strings.Contains(server, "life=2027-01-01") && strings.HasPrefix(ours, "200 ")
		},
	},
	{
		"a certificate that names nobody is refused: RFC 5280, section 4.1.2.6, and openssl verify -x509_strict want a name",
		func(_ line, _, ours string) bool { return strings.Contains(ours, "the certificate would name nobody") },
	},
}

func explain(l line, server, ours string) string {
	for _, d := range differences {
		if d.match(l, server, ours) {
			return d.why
		}
	}
	return ""
}

func extendedKeyUsages(c *x509.Certificate) []string {
	i := slices.IndexFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.String() == "2.5.29.37" })
	if i < 0 {
		return nil
	}
	var oids []asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(c.Extensions[i].Value, &oids); err != nil {
		return []string{err.Error()}
	}
	var texts []string
	for _, oid := range oids {
		texts = append(texts, oid.String())
	}
	return texts
}

// alternativeNames as the server's were taken down.
func alternativeNames(c *x509.Certificate) []string {
	var names []string
	for _, n := range c.DNSNames {
		names = append(names, "DNSName:"+n)
	}
	for _, n := range c.EmailAddresses {
		names = append(names, "RFC822Name:"+n)
	}
	for _, n := range c.IPAddresses {
		names = append(names, "IPAddress:"+n.String())
	}
	for _, n := range c.URIs {
		names = append(names, "UniformResourceIdentifier:"+n.String())
	}
	for _, e := range c.Extensions {
		if e.Id.String() != "2.5.29.17" {
			continue
		}
		var all []asn1.RawValue
		if _, err := asn1.Unmarshal(e.Value, &all); err != nil {
			return []string{err.Error()}
		}
		for _, n := range all {
			if n.Tag == 0 {
				var id asn1.ObjectIdentifier
				if _, err := asn1.Unmarshal(n.Bytes, &id); err != nil {
					return []string{err.Error()}
				}
				names = append(names, "OtherName:"+id.String())
			}
		}
	}
	return names
}
