package constraint_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/constraint"
	"github.com/hsmpki/hsmpki/hsmd/tbs"
)

type edit = func(*x509.Certificate)

// TestRules holds certificates against one rule each, at its edges.
func TestRules(t *testing.T) {
	ca := func(length int) edit {
		return func(c *x509.Certificate) {
			c.IsCA, c.MaxPathLen, c.MaxPathLenZero, c.KeyUsage = true, length, length == 0, x509.KeyUsageCertSign
		}
	}
	usage := func(bits x509.KeyUsage) edit { return func(c *x509.Certificate) { c.KeyUsage = bits } }
	noBasic := func(c *x509.Certificate) { c.BasicConstraintsValid = false }
	ends := func(d time.Duration) edit { return func(c *x509.Certificate) { c.NotAfter = now.Add(d) } }
	begins := func(d time.Duration) edit { return func(c *x509.Certificate) { c.NotBefore = now.Add(d) } }
	eku := func(all ...x509.ExtKeyUsage) edit { return func(c *x509.Certificate) { c.ExtKeyUsage = all } }
	policy := func(ids ...asn1.ObjectIdentifier) edit {
		return func(c *x509.Certificate) {
			for _, id := range ids {
				oid, _ := x509.ParseOID(id.String())
				c.Policies = append(c.Policies, oid)
			}
		}
	}
	caRefused, ekuRefused := "ca false: the certificate has ", "extended_key_usages server_auth: "
	for _, c := range []struct {
		what, rules string
		edits       []edit
		rule        string
	}{
		{"nothing set", ``, []edit{ca(-1), ends(1e6 * time.Hour)}, ""},
		{"sign", `sign = ["certificate"]`, nil, ""},
		{"sign, another", `sign = ["csr", "crl", "ocsp"]`, nil, "sign csr, crl, ocsp: this is a certificate"},

		{"leaf", `ca = false`, nil, ""},
		{"CA", `ca = false`, []edit{ca(0)}, caRefused + "cA"},
		{"keyCertSign alone", `ca = false`, []edit{usage(x509.KeyUsageCertSign), noBasic}, caRefused + "keyCertSign"},
		{"keyCertSign among others", `ca = false`, []edit{usage(x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature)}, caRefused + "keyCertSign"},
		{"cRLSign", `ca = false`, []edit{usage(x509.KeyUsageCRLSign)}, caRefused + "cRLSign"},
		{"decipherOnly, two octets", `ca = false`, []edit{usage(x509.KeyUsageDecipherOnly)}, ""},
		{"Netscape's CA", `ca = false`, []edit{noBasic, extra("2.16.840.1.113730.1.1", false, []byte{3, 2, 2, 4})}, caRefused + "a CA's bit"},
		{"Netscape's server", `ca = false`, []edit{extra("2.16.840.1.113730.1.1", false, []byte{3, 2, 6, 0x40})}, ""},
		{"Netscape's type, odd", `ca = false`, []edit{extra("2.16.840.1.113730.1.1", false, []byte{4, 1, 7})}, caRefused + "a CA's bit"},
		{"CA allowed", `ca = true`, []edit{ca(-1)}, ""},
		{"CA by keyUsage only", `ca = true`, []edit{usage(x509.KeyUsageCertSign), noBasic}, "ca true: "},
		{"path length", "ca = true\nmax_path_length = 1", []edit{ca(1)}, ""},
		{"path length 0", "ca = true\nmax_path_length = 0", []edit{ca(0)}, ""},
		{"path too long", "ca = true\nmax_path_length = 0", []edit{ca(1)}, "max_path_length 0: the CA certificate's is 1"},
		{"no path length", "ca = true\nmax_path_length = 9", []edit{ca(-1)}, "max_path_length 9: the CA certificate has no path length"},

		{"max_ttl", `max_ttl = "2h"`, []edit{ends(2*time.Hour + time.Minute)}, ""},
		{"max_ttl, a second more", `max_ttl = "2h"`, []edit{ends(2*time.Hour + time.Minute + time.Second)}, "max_ttl 2h0m0s: notAfter is 2026-11-24T14:01:01Z"},
		{"max_ttl, for ever", `max_ttl = "2h"`, []edit{func(c *x509.Certificate) { c.NotAfter = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) }}, "max_ttl"},
		{"max_backdate", `max_backdate = "1h"`, []edit{begins(-time.Hour - time.Minute)}, ""},
		{"max_backdate, a second more", `max_backdate = "1h"`, []edit{begins(-time.Hour - time.Minute - time.Second)}, "max_backdate 1h0m0s: notBefore is"},
		{"max_crl_validity is not for certificates", `max_crl_validity = "1m"`, []edit{ends(time.Hour)}, ""},

		{"public_key_types", `public_key_types = ["P256"]`, nil, ""},
		{"public_key_types, another", `public_key_types = ["P384", "RSA-2048"]`, nil, "public_key_types P384, RSA-2048: the subject's public key is P256"},

		{"extended_key_usages", `extended_key_usages = ["server_auth"]`, []edit{eku(x509.ExtKeyUsageServerAuth)}, ""},
		{"one too many", `extended_key_usages = ["server_auth"]`, []edit{eku(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)}, ekuRefused + "the certificate has 1.3.6.1.5.5.7.3.2"},
		{"any", `extended_key_usages = ["server_auth"]`, []edit{eku(x509.ExtKeyUsageAny)}, ekuRefused + "the certificate has 2.5.29.37.0"},
		{"OCSPSigning", `extended_key_usages = ["server_auth"]`, []edit{eku(x509.ExtKeyUsageOCSPSigning)}, ekuRefused + "the certificate has 1.3.6.1.5.5.7.3.9"},
		{"OCSPSigning, listed", `extended_key_usages = ["ocsp_signing"]`, []edit{eku(x509.ExtKeyUsageOCSPSigning)}, ""},
		{"none", `extended_key_usages = ["server_auth"]`, nil, ekuRefused + "the certificate has none"},
		{"none, CA", `extended_key_usages = ["server_auth"]`, []edit{ca(0)}, ""},
		{"the same twice", `max_ttl = "2h"`, []edit{extra("2.5.29.37", false, tlv(0x30, []byte("\x06\x02\x2a\x03"), []byte("\x06\x02\x2a\x03")))}, "extension 2.5.29.37 is malformed"},
		{"by OID", `extended_key_usages = ["1.2.3"]`, []edit{extra("2.5.29.37", true, tlv(0x30, []byte("\x06\x02\x2a\x03")))}, ""},
		{"a responder of another key", `sign = ["certificate"]`, []edit{eku(x509.ExtKeyUsageOCSPSigning)}, "sign certificate: the certificate would let another key sign OCSP responses"},

		{"extensions, the usual", `permitted_extensions = ["1.2.3"]`, []edit{eku(x509.ExtKeyUsageServerAuth), san(tlv(0x82, []byte("a.example")))}, ""},
		{"extensions, another", `permitted_extensions = ["1.2.3"]`, []edit{extra("1.2.4", false, nil)}, "permitted_extensions 1.2.3: the certificate has 1.2.4"},
		{"extensions, listed and critical", `permitted_extensions = ["1.2.3"]`, []edit{extra("1.2.3", true, nil)}, ""},
		{"critical and unknown", `max_ttl = "2h"`, []edit{extra("1.2.3", true, nil)}, "permitted_extensions: extension 1.2.3 is critical"},
		{"unknown", `max_ttl = "2h"`, []edit{extra("1.2.3", false, nil)}, ""},
		{"policies", `permitted_policies = ["1.2.3"]`, []edit{policy(asn1.ObjectIdentifier{1, 2, 3})}, ""},
		{"no policies", `permitted_policies = ["1.2.3"]`, nil, ""},
		{"policies and extensions", "permitted_policies = [\"1.2.3\"]\npermitted_extensions = [\"1.2.9\"]", []edit{policy(asn1.ObjectIdentifier{1, 2, 3})}, ""},
		{"another policy", `permitted_policies = ["1.2.3"]`, []edit{policy(asn1.ObjectIdentifier{1, 2, 3}, asn1.ObjectIdentifier{2, 5, 29, 32, 0})}, "permitted_policies 1.2.3: the certificate has 2.5.29.32.0"},

		{"hours", "hours = [\"Mon-Fri 08:00-12:01\"]", nil, ""},
		{"hours, the last second is out", "hours = [\"Mon-Fri 08:00-12:00\"]", nil, "hours Mon-Fri 08:00-12:00: it is Tue 12:00 UTC"},
		{"hours, another day", "hours = [\"Wed-Mon 00:00-24:00\"]", nil, "hours"},
		{"hours, around the week's end", "hours = [\"Sat-Tue 00:00-24:00\"]", nil, ""},
		{"hours, one of two", "hours = [\"Wed 00:00-24:00\", \"Tue 12:00-13:00\"]", nil, ""},
		{"hours in a zone", "hours = [\"Tue 13:00-13:30\"]\ntime_zone = \"Europe/Berlin\"", nil, ""},
	} {
		refused(t, c.what, set(t, c.rules), certificate(t, c.edits...), constraint.Facts{}, c.rule)
	}
}

func TestPublicKeyTypes(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	edKey, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for word, key := range map[string]crypto.PublicKey{"RSA-3072": rsaKey.Public(), "Ed25519": edKey} {
		m := certificateFor(t, key)
		refused(t, word, set(t, `public_key_types = ["`+word+`"]`), m, constraint.Facts{}, "")
		refused(t, word, set(t, `public_key_types = ["P256", "RSA-2048"]`), m, constraint.Facts{}, "the subject's public key is "+word)
	}
	m := certificate(t)
	m.SPKI = compressed(t)
	refused(t, "compressed point", set(t, `public_key_types = ["P256"]`), m, constraint.Facts{}, "the subject's public key")
}

func compressed(t *testing.T) []byte {
	key := newKey(t)
	return tlv(0x30, tlv(0x30, []byte("\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"), []byte("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07")),
		tlv(3, []byte{0}, elliptic.MarshalCompressed(elliptic.P256(), key.X, key.Y)))
}

// TestOtherKinds: the rules for CRLs, OCSP responses and requests.
func TestOtherKinds(t *testing.T) {
	list := &tbs.Summary{Kind: tbs.RevocationList, NotBefore: now, NotAfter: now.Add(24*time.Hour + time.Minute), Issuer: []byte("\x30\x00"), MaxPathLen: -1}
	answer := &tbs.Summary{Kind: tbs.OCSPResponse, NotBefore: now, NotAfter: now.Add(time.Hour + time.Minute), MaxPathLen: -1}
	request := &tbs.Summary{Kind: tbs.Request, MaxPathLen: -1, Extensions: []tbs.Extension{{ID: []byte{0x2a, 3}, Critical: true}}}
	refused(t, "crl", set(t, `max_crl_validity = "24h"`), list, constraint.Facts{}, "")
	refused(t, "crl", set(t, `max_crl_validity = "86399s"`), list, constraint.Facts{}, "max_crl_validity 23h59m59s: nextUpdate is")
	refused(t, "crl", set(t, `sign = ["certificate"]`), list, constraint.Facts{}, "this is a CRL")
	refused(t, "crl at night", set(t, `hours = ["Sun 00:00-01:00"]`), list, constraint.Facts{}, "")
	refused(t, "ocsp", set(t, `max_ocsp_validity = "1h"`), answer, constraint.Facts{}, "")
	refused(t, "ocsp", set(t, `max_ocsp_validity = "3599s"`), answer, constraint.Facts{}, "max_ocsp_validity 59m59s: nextUpdate is")
	refused(t, "ocsp at night", set(t, `hours = ["Sun 00:00-01:00"]`), answer, constraint.Facts{}, "")
	refused(t, "csr", set(t, `max_ttl = "1h"`+"\n"+`permitted_dns_domains = ["a.example"]`), request, constraint.Facts{}, "")
	refused(t, "csr at night", set(t, `hours = ["Sun 00:00-01:00"]`), request, constraint.Facts{}, "hours")
	list.Extensions = []tbs.Extension{{ID: []byte{0x2a, 3}, Critical: true}}
	refused(t, "crl with a critical extension", set(t, `sign = ["crl"]`), list, constraint.Facts{}, "extension 1.2.3 is critical")
}

// TestResponder: the certificate of a responder in hsmd's memory is exempt from
// the rules for certificates as long as it gives nothing else.
func TestResponder(t *testing.T) {
	const rules = `sign = ["crl", "ocsp"]
extended_key_usages   = ["server_auth"]
public_key_types      = ["RSA-4096"]
permitted_dns_domains = ["example.com"]
max_ttl               = "1h"
hours                 = ["Sun 00:00-01:00"]`
	ocsp := func(c *x509.Certificate) {
		c.ExtKeyUsage, c.NotAfter = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, now.Add(7*24*time.Hour)
	}
	own := constraint.Facts{Responder: true}
	refused(t, "a responder's", set(t, rules), certificate(t, ocsp), own, "")
	refused(t, "for another key", set(t, rules), certificate(t, ocsp), constraint.Facts{}, "sign crl, ocsp: this is a certificate")
	for what, more := range map[string]edit{
		"too long":   func(c *x509.Certificate) { c.NotAfter = now.Add(7*24*time.Hour + time.Minute + time.Second) },
		"also TLS":   func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) },
		"with names": func(c *x509.Certificate) { c.DNSNames = []string{"a.example.com"} },
		"a CA":       func(c *x509.Certificate) { c.IsCA = true },
		"signs CRLs": func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCRLSign },
	} {
		refused(t, what, set(t, rules), certificate(t, ocsp, more), own, "sign crl, ocsp: this is a certificate")
	}
	refused(t, "no OCSP", set(t, `sign = ["certificate"]`), certificate(t, ocsp), own, "sign certificate: this is an OCSP response, or")
}

func TestIssuer(t *testing.T) {
	ca := func(name string, id []byte) *x509.Certificate {
		key := newKey(t)
		c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, SubjectKeyId: id, IsCA: true, BasicConstraintsValid: true}
		der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	const rule = `issuer = ["file:/ca.pem"]`
	leaf := certificate(t) // issued by "Issuing CA", 0102
	refused(t, "issuer", set(t, rule, ca("Root CA", []byte{9}), ca("Issuing CA", []byte{1, 2})), leaf, constraint.Facts{}, "")
	refused(t, "another issuer", set(t, rule, ca("Root CA", []byte{1, 2})), leaf, constraint.Facts{}, `issuer file:/ca.pem: the issuer is CN=Issuing CA`)
	refused(t, "another key id", set(t, rule, ca("Issuing CA", []byte{1, 3})), leaf, constraint.Facts{}, "the authorityKeyIdentifier is 0102")
	refused(t, "the parts of two", set(t, rule, ca("Issuing CA", []byte{1, 3}), ca("Root CA", []byte{1, 2})), leaf, constraint.Facts{}, "the authorityKeyIdentifier is 0102")
	none := certificate(t, extra("2.5.29.35", false, tlv(0x30)))
	refused(t, "no key id", set(t, rule, ca("Issuing CA", []byte{1, 2})), none, constraint.Facts{}, "the authorityKeyIdentifier is")
}

func TestBadSets(t *testing.T) {
	for rules, want := range map[string]string{
		`permitted_dns_domains = ["exa mple.com"]`:                             `hsmd.hcl:9: permitted_dns_domains: "exa mple.com" cannot be such an entry`,
		`permitted_dns_domains = ["*.example.com"]`:                            `permitted_dns_domains: "*.example.com"`,
		`permitted_email_addresses = ["a@b@c"]`:                                `permitted_email_addresses: "a@b@c"`,
		`permitted_uri_domains = ["https://example.com"]`:                      `permitted_uri_domains: "https://example.com"`,
		`permitted_directory_names = ["Example"]`:                              `permitted_directory_names: "Example"`,
		`permitted_directory_names = ["XX=Example"]`:                           `permitted_directory_names: "XX=Example"`,
		`permitted_directory_names = ["O=#0c00"]`:                              `permitted_directory_names: "O=#0c00"`,
		`extended_key_usages = ["9.9.9"]`:                                      `extended_key_usages: "9.9.9" is no object identifier`,
		`hours = ["Mon-Fri"]`:                                                  `hours "Mon-Fri": must be like`,
		`hours = ["Mon 18:00-08:00"]`:                                          `hours "Mon 18:00-08:00"`,
		`hours = ["mon 08:00-18:00"]`:                                          `hours "mon 08:00-18:00"`,
		`hours = ["Mon 08:00-24:01"]`:                                          `hours "Mon 08:00-24:01"`,
		"hours = [\"Mon 08:00-18:00\"]\n    time_zone = \"Middle/Of_Nowhere\"": `hsmd.hcl:10: time_zone "Middle/Of_Nowhere"`,
	} {
		c, err := parse(rules)
		if err == nil {
			_, err = constraint.New("k", c, nil)
		}
		if err == nil || !contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", rules, err, want)
		}
	}
}
