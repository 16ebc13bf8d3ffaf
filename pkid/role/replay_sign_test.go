package role_test

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/role"
)

// sign replays sign/:role. The CSR was not recorded, but the server's answer
// tells much of it: what it refused, or what it put into the certificate. Ours
// is the server's answer if it is so for one CSR that fits.
func sign(t *testing.T, l line, server string) string {
	t.Helper()
	var ours string
	for i, common := range csrCommonNames(l, server) {
		csr := fittingCSR(t, l, server, common)
		answer := issue(t, l, csr)
		if answer == server || i == 0 {
			ours = answer
		}
	}
	return ours
}

// refused takes the refused value out of an answer.
var refused = regexp.MustCompile(`^400 (common name|idna: invalid label|serial_number|subject alternate name|email address|user_id|other SAN OID) "?(.*?)"?( is)?( not allowed by this role)?$`)

// csrCommonNames lists what the CSR's common name may have been: what the
// answer says, or else names that the role may well allow.
func csrCommonNames(l line, server string) []string {
	if l.Got != nil {
		for _, a := range l.Got.Subject {
			if a[0] == "commonName" {
				return []string{a[1]}
			}
		}
		return []string{""}
	}
	if m := refused.FindStringSubmatch(server); m != nil && (m[1] == "common name" || strings.HasPrefix(m[1], "idna")) {
		return []string{m[2]}
	}
	if strings.HasPrefix(server, "400 the common_name field is required") {
		return []string{""}
	}
	names := []string{"localhost", "a.localhost", "a.example.com"}
	domains, _ := l.Role["allowed_domains"].([]any)
	for _, d := range domains {
		domain := strings.ReplaceAll(fmt.Sprint(d), "*", "w")
		names = append(names, domain, "a."+domain, "user@"+domain, "user@a."+domain)
	}
	return names
}

// fittingCSR makes the CSR that the answer tells of.
func fittingCSR(t *testing.T, l line, server, common string) *role.CSR {
	t.Helper()
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: common}}
	if l.Got != nil {
		for _, a := range l.Got.Subject {
			switch a[0] {
			case "serialNumber":
				template.Subject.SerialNumber = a[1]
			case "userID":
				template.Subject.ExtraNames = append(template.Subject.ExtraNames, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: a[1]})
			}
		}
		for _, name := range l.Got.Ext.SAN {
			addAlternative(template, name)
		}
	}
	if m := refused.FindStringSubmatch(server); m != nil {
		addAlternative(template, map[string]string{"subject alternate name": "DNSName:", "email address": "RFC822Name:"}[m[1]]+m[2])
	}
	if strings.HasSuffix(server, "via CSR") {
		addAlternative(template, "IPAddress:10.0.0.1")
		if strings.HasPrefix(server, "400 URI") {
			template.IPAddresses = nil
			addAlternative(template, "UniformResourceIdentifier:https://a.example.com/x")
		}
	}
	csr, err := role.ParseCSR(makeCSR(t, template, fittingKey(l, server)))
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func addAlternative(template *x509.CertificateRequest, name string) {
	kind, value, _ := strings.Cut(name, ":")
	switch kind {
	case "DNSName":
		template.DNSNames = append(template.DNSNames, value)
	case "RFC822Name":
		template.EmailAddresses = append(template.EmailAddresses, value)
	case "IPAddress":
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(value))
	case "UniformResourceIdentifier":
		uri, _ := url.Parse(value)
		template.URIs = append(template.URIs, uri)
	}
}

// fittingKey is the key that the answer tells of, or one that the role takes.
func fittingKey(l line, server string) crypto.Signer {
	kind := func(name string, fallback any) string {
		if v, ok := l.Role[name]; ok {
			return fmt.Sprint(v)
		}
		return fmt.Sprint(fallback)
	}
	keyType := kind("key_type", "rsa")
	name := keyType + kind("key_bits", map[string]int{"rsa": 2048, "ec": 256}[keyType])
	var wants, has int
	switch {
	case l.Got != nil:
		name = strings.ToLower(strings.NewReplacer("PublicKey-", "", "Ed25519PublicKey-", "ed255190").Replace(l.Got.Public))
	case strings.HasPrefix(server, "400 role requires keys of type"):
		name = "ec256"
		if keyType == role.KeyEC {
			name = "ed255190"
		}
	case scan(server, &wants, &has):
		name = fmt.Sprint(keyType, has)
	}
	if key, ok := leafKeys()[name]; ok {
		return key
	}
	if strings.HasPrefix(name, "ed25519") {
		return leafKeys()["ed255190"]
	}
	return leafKeys()["ec256"]
}

func scan(server string, wants, has *int) bool {
	n, _ := fmt.Sscanf(server, "400 role requires a minimum of a %d-bit key, but CSR's key is %d bits", wants, has)
	return n == 2
}
