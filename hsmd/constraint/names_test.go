package constraint_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/constraint"
)

// rawName is a Name with one attribute: a common name in the given string type.
func rawName(tag byte, value string) []byte {
	return tlv(0x30, tlv(0x31, tlv(0x30, []byte("\x06\x03\x55\x04\x03"), tlv(tag, []byte(value)))))
}

// TestNames holds one name each against lists.
func TestNames(t *testing.T) {
	const (
		dns     = `permitted_dns_domains = ["example.com"]`
		below   = `permitted_dns_domains = [".example.com"]`
		notDNS  = `excluded_dns_domains = ["secret.example.com"]`
		ip      = `permitted_ip_ranges = ["10.0.0.0/8", "2001:db8::/32"]`
		notIP   = `excluded_ip_ranges = ["10.1.0.0/16"]`
		mail    = `permitted_email_addresses = ["example.com", ".example.org", "Ann@example.net"]`
		notMail = `excluded_email_addresses = ["example.com", "ann@example.net"]`
		uri     = `permitted_uri_domains = ["example.com", ".example.org"]`
		notURI  = `excluded_uri_domains = ["example.com"]`
		dir     = `permitted_directory_names = ["O=Example\\, Inc.,C=NL"]`
		notDir  = `excluded_directory_names = ["O=Example,C=NL"]`
		upn     = `permitted_other_names = ["1.3.6.1.4.1.311.20.2.3"]`

		noList    = "there is none, and the certificate has"
		notAmong  = "is not among them"
		cannot    = "cannot be judged"
		excluded  = "is excluded"
		malformed = "extension 2.5.29.17 is malformed"
	)
	text := func(tag byte) func(string) edit { return func(s string) edit { return san(tlv(tag, []byte(s))) } }
	aDNS, aMail, aURI, anIP := text(0x82), text(0x81), text(0x86), text(0x87)
	cn := func(s string) edit { return func(c *x509.Certificate) { c.Subject.CommonName = s } }
	rawCN := func(tag byte, s string) edit { return func(c *x509.Certificate) { c.RawSubject = rawName(tag, s) } }
	subject := func(n pkix.Name) edit { return func(c *x509.Certificate) { c.Subject = n } }
	inMail := func(s string) edit {
		return subject(pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: s}}})
	}
	other := func(id string) edit {
		return san(tlv(0xa0, []byte(id), tlv(0xa0, tlv(0x0c, []byte("a@b")))))
	}
	isUPN, isOther := other("\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03"), other("\x06\x02\x2a\x03")
	sid := extra("1.3.6.1.4.1.311.25.2", false, []byte{0x30, 0})
	for _, c := range []struct {
		what, rules string
		edit        edit
		rule        string
	}{
		{"the domain", dns, aDNS("example.com"), ""},
		{"below it", dns, aDNS("a.b.example.com"), ""},
		{"in upper case", dns, aDNS("A.EXAMPLE.com"), ""},
		{"a suffix that is no label", dns, aDNS("badexample.com"), notAmong},
		{"the domain as a part", dns, aDNS("example.com.evil.org"), notAmong},
		{"above", dns, aDNS("com"), notAmong},
		{"wildcard", dns, aDNS("*.example.com"), ""},
		{"wildcard above", dns, aDNS("*.com"), notAmong},
		{"wildcard alone", dns, aDNS("*"), cannot},
		{"wildcard inside", dns, aDNS("a.*.example.com"), cannot},
		{"a part of a label", dns, aDNS("a*.example.com"), cannot},
		{"two wildcards", dns, aDNS("*.*.example.com"), cannot},
		{"trailing dot", dns, aDNS("a.example.com."), cannot},
		{"empty label", dns, aDNS("a..example.com"), cannot},
		{"leading dot", dns, aDNS(".example.com"), cannot},
		{"NUL", dns, aDNS("evil.org\x00.example.com"), cannot},
		{"blank", dns, aDNS("evil.org .example.com"), cannot},
		{"newline", dns, aDNS("a.example.com\n"), cannot},
		{"hyphen", dns, aDNS("-a.example.com"), cannot},
		{"an address as a DNS name", `permitted_dns_domains = ["example.com"]`, aDNS("10.0.0.1"), cannot},
		{"an octal address", notDNS, aDNS("0x7f.1"), cannot},
		{"not ASCII", dns, aDNS("\xc3\xa4.example.com"), malformed},
		{"A-label", dns, aDNS("xn--4ca.example.com"), ""},
		{"empty", dns, aDNS(""), malformed},
		{"label of 64", dns, aDNS("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.com"), cannot},
		{"second of two", dns, san(tlv(0x82, []byte("a.example.com")), tlv(0x82, []byte("evil.org"))), notAmong},
		{"only below: the domain", below, aDNS("example.com"), notAmong},
		{"only below: below", below, aDNS("a.example.com"), ""},
		{"only below: wildcard", below, aDNS("*.example.com"), ""},
		{"wildcard beside a host", `permitted_dns_domains = ["host.example.com"]`, aDNS("*.example.com"), notAmong},
		{"excluded", notDNS, aDNS("a.secret.example.com"), excluded},
		{"excluded, upper case", notDNS, aDNS("SECRET.example.com"), excluded},
		{"excluded by a wildcard", notDNS, aDNS("*.example.com"), excluded},
		{"not excluded", notDNS, aDNS("a.example.com"), ""},
		{"excluded only: another kind", notDNS, anIP("\x0a\x00\x00\x01"), ""},
		{"excluded within permitted", dns + "\n" + notDNS, aDNS("secret.example.com"), excluded},

		{"IPv4", ip, anIP("\x0a\x01\x02\x03"), ""},
		{"IPv4 outside", ip, anIP("\x0b\x01\x02\x03"), notAmong},
		{"IPv6", ip, anIP("\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"), ""},
		{"IPv4 in IPv6", ip, anIP("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x01\x02\x03"), cannot},
		{"IPv4 in IPv6, excluded", notIP, anIP("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x01\x02\x03"), cannot},
		{"a range as an address", ip, anIP("\x0a\x00\x00\x00\xff\x00\x00\x00"), malformed},
		{"three octets", ip, anIP("\x0a\x00\x00"), malformed},
		{"IP excluded", notIP, anIP("\x0a\x01\x02\x03"), excluded},
		{"IP without a list", dns, anIP("\x0a\x01\x02\x03"), "permitted_ip_ranges: " + noList},

		{"mail at the host", mail, aMail("bob@example.com"), ""},
		{"mail in upper case", mail, aMail("bob@EXAMPLE.com"), ""},
		{"mail below the host", mail, aMail("bob@a.example.com"), notAmong},
		{"mail below a domain", mail, aMail("bob@a.example.org"), ""},
		{"mail at the domain itself", mail, aMail("bob@example.org"), notAmong},
		{"the mailbox", mail, aMail("Ann@example.net"), ""},
		{"the mailbox in another case", mail, aMail("ann@example.net"), notAmong},
		{"another mailbox", mail, aMail("bob@example.net"), notAmong},
		{"quoted", mail, aMail(`"a@evil.org"@example.com`), cannot},
		{"two hosts", mail, aMail("a@evil.org@example.com"), cannot},
		{"no host", mail, aMail("example.com"), cannot},
		{"no mailbox", mail, aMail("@example.com"), cannot},
		{"an address literal", mail, aMail("a@[10.0.0.1]"), cannot},
		{"mail excluded", notMail, aMail("bob@example.com"), excluded},
		{"mail excluded below", notMail, aMail("bob@a.example.com"), excluded},
		{"mailbox excluded, in another case", notMail, aMail("ANN@example.net"), excluded},
		{"mail in the subject", dns, inMail("a@evil.org"), "permitted_email_addresses: " + noList},
		{"mail in the subject, permitted", mail, inMail("a@example.com"), ""},

		{"URI", uri, aURI("https://example.com:8443/a?b#c"), ""},
		{"URI below a domain", uri, aURI("spiffe://a.example.org/x"), ""},
		{"URI below a host", uri, aURI("https://a.example.com/"), notAmong},
		{"URI with a user", uri, aURI("https://example.com@evil.org/"), cannot},
		{"URI with a user before the host", uri, aURI("https://evil.org@example.com/"), cannot},
		{"URI with a backslash", uri, aURI(`https://evil.org\.example.com/`), cannot},
		{"URI with an escape", uri, aURI("https://example.com%2eevil.org/"), cannot},
		{"URI of an address", uri, aURI("https://10.0.0.1/"), cannot},
		{"URI of an IPv6 address", uri, aURI("https://[::1]/"), cannot},
		{"URI with a fragment for a host", uri, aURI("https://evil.org#.example.com"), notAmong},
		{"URN", uri, aURI("urn:uuid:1"), cannot},
		{"URI excluded below", notURI, aURI("https://A.example.com/"), excluded},

		{"subject in the subtree", dir, subject(pkix.Name{Country: []string{"NL"}, Organization: []string{"example,  INC."}, CommonName: "x"}), ""},
		{"subject in another", dir, subject(pkix.Name{Country: []string{"DE"}, Organization: []string{"Example, Inc."}}), notAmong},
		{"subject above", dir, subject(pkix.Name{Country: []string{"NL"}}), notAmong},
		{"subject with more in the set", dir, subject(pkix.Name{Country: []string{"NL"}, Organization: []string{"Example, Inc.", "Evil"}}), notAmong},
		{"no subject", dir, subject(pkix.Name{}), ""},
		{"directory name, other list", dns, san(tlv(0xa4, rawName(0x0c, "x"))), "permitted_directory_names: " + noList},
		{"subject excluded", notDir, subject(pkix.Name{Country: []string{"nl"}, Organization: []string{"EXAMPLE"}}), excluded},
		{"subject not excluded, others permitted", dns + "\n" + notDir, cn("Some Body"), ""},

		{"other name, listed", upn, isUPN, ""},
		{"other name, another", upn, isOther, "permitted_other_names 1.3.6.1.4.1.311.20.2.3: an other name is of type 1.2.3"},
		{"other name, no list", dns, isUPN, "permitted_other_names: an other name is of type"},
		{"other name, only excluded", notDNS, isUPN, ""},
		{"registered id", dns, san(tlv(0x88, []byte{0x2a, 3})), "of a kind (tag 8) that no list is for"},
		{"Microsoft's SID", dns, sid, "extension 1.3.6.1.4.1.311.25.2 is a name too"},
		{"Microsoft's SID, listed", dns + "\n" + `permitted_extensions = ["1.3.6.1.4.1.311.25.2"]`, sid, ""},
		{"constructed dNSName", dns, san(tlv(0xa2, tlv(0x16, []byte("a.example.com")))), malformed},
		{"no names", dns, san(), malformed},

		{"CN, no host", dns, cn("Some Body"), ""},
		{"CN, one label", dns, cn("alice"), ""},
		{"CN, a host", dns, cn("www.example.com"), ""},
		{"CN, another host", dns, cn("www.evil.org"), "permitted_dns_domains example.com: the DNS name \"www.evil.org\" is not among them"},
		{"CN, host with blanks around", dns, cn(" www.evil.org\u2003"), notAmong},
		{"CN, wildcard", dns, cn("*.evil.org"), notAmong},
		{"CN, trailing dot", dns, cn("www.evil.org."), cannot},
		{"CN, not ASCII", dns, cn("www.\u0435vil.org"), cannot},
		{"CN, full-width dot", dns, cn("www\uff0eevil\uff0eorg"), cannot},
		{"CN, NUL", dns, rawCN(0x0c, "evil.org\x00"), "has control characters"},
		{"CN, BMPString", dns, rawCN(0x1e, "\x00e\x00v\x00.\x00o\x00r\x00g"), notAmong},
		{"CN, TeletexString", dns, rawCN(0x14, "evil.org"), notAmong},
		{"CN, an address", ip, cn("11.0.0.1"), notAmong},
		{"CN, an address, permitted", ip, cn("10.0.0.1"), ""},
		{"CN, IPv6 in brackets", ip, cn("[::1]"), notAmong},
		{"CN, an address without a list", dns, cn("10.0.0.1"), "permitted_ip_ranges: " + noList},
		{"CN, mail", mail, cn("a@evil.org"), notAmong},
		{"CN, mail, permitted", mail, cn("a@example.com"), ""},
		{"CN, URI", dns, cn("https://evil.org"), "permitted_uri_domains: " + noList},
		{"CN, excluded", notDNS, cn("secret.example.com"), excluded},
		{"CN, nothing set", `max_ttl = "1h"`, cn("www.evil.org"), ""},
	} {
		refused(t, c.what, set(t, c.rules), certificate(t, c.edit), constraint.Facts{}, c.rule)
	}
}

// FuzzNames: a certificate that passes has no DNS name, address, e-mail address
// or URI for crypto/x509 beyond the permitted ones.
func FuzzNames(f *testing.F) {
	s := set(f, `permitted_dns_domains     = ["example.com"]
permitted_ip_ranges       = ["10.0.0.0/8"]
permitted_email_addresses = ["example.com"]
permitted_uri_domains     = ["example.com"]`)
	key := newKey(f)
	permitted := &x509.Certificate{PermittedDNSDomains: []string{"example.com"}, PermittedEmailAddresses: []string{"example.com"},
		PermittedURIDomains: []string{"example.com"}, PermittedIPRanges: []*net.IPNet{{IP: net.IP{10, 0, 0, 0}, Mask: net.CIDRMask(8, 32)}},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SerialNumber: template().SerialNumber,
		NotBefore: now, NotAfter: template().NotAfter, Subject: pkix.Name{CommonName: "CA"}}
	root := issue(f, permitted, permitted, key, key)
	roots := x509.NewCertPool()
	roots.AddCert(root)
	for _, name := range [][]byte{tlv(0x82, []byte("a.example.com")), tlv(0x81, []byte("a@example.com")), tlv(0x86, []byte("https://example.com/")), tlv(0x87, []byte{10, 0, 0, 1})} {
		f.Add(tlv(0x30, name), "www.example.com")
	}
	f.Add([]byte{0x30, 0}, "10.0.0.1")
	f.Fuzz(func(t *testing.T, names []byte, cn string) {
		leaf := template()
		leaf.Subject.CommonName = cn
		extra("2.5.29.17", false, names)(leaf)
		der, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), key)
		if err != nil {
			return
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		m, err := parseTBS(cert.RawTBSCertificate)
		if err != nil || s.Check(m, constraint.Facts{Now: now}) != nil {
			return
		}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
			t.Errorf("passes, and x509 says of names %x: %v", names, err)
		}
	})
}
