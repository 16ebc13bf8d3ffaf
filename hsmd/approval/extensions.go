package approval

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
)

// extensions says where a certificate points to and which names a CA is held to,
// and then each extension in hexadecimal: what the words leave out is there.
func extensions(c *x509.Certificate) []string {
	var lines []string
	for _, u := range c.CRLDistributionPoints {
		lines = append(lines, "CRL at "+u)
	}
	for _, u := range c.IssuingCertificateURL {
		lines = append(lines, "issuer's certificate at "+u)
	}
	for _, u := range c.OCSPServer {
		lines = append(lines, "OCSP at "+u)
	}
	lines = append(lines, subtrees("permitted", c.PermittedDNSDomains, c.PermittedEmailAddresses, c.PermittedURIDomains, c.PermittedIPRanges)...)
	lines = append(lines, subtrees("excluded", c.ExcludedDNSDomains, c.ExcludedEmailAddresses, c.ExcludedURIDomains, c.ExcludedIPRanges)...)
	return append(lines, octets(c.Extensions)...)
}

// subtrees is a line of name constraints (RFC 5280, section 4.2.1.10); none where
// there are none.
func subtrees(what string, dns, mail, uris []string, ips []*net.IPNet) []string {
	var all []string
	add := func(kind string, names []string) {
		for _, n := range names {
			all = append(all, kind+n)
		}
	}
	add("DNS ", dns)
	add("e-mail ", mail)
	add("URI ", uris)
	for _, n := range ips {
		all = append(all, "IP "+n.String())
	}
	if len(all) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("names %s below it: %s", what, strings.Join(all, ", "))}
}

func octets(extensions []pkix.Extension) []string {
	var lines []string
	for _, e := range extensions {
		lines = append(lines, fmt.Sprintf("extension %s, critical %v: %s", e.Id, e.Critical, hex.EncodeToString(e.Value)))
	}
	return lines
}
