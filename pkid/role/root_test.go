package role_test

import (
	"crypto"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

func TestRoot(t *testing.T) {
	p := params(t, `{"common_name":"Example Root","alt_names":"root.example.com,ca@example.com","organization":"Org","country":"NL",
		"ttl":"8760h","max_path_length":"1","key_type":"ec","key_bits":384,"key_usage":"DigitalSignature","not_before_duration":"1m",
		"permitted_dns_domains":"example.com,example.org","excluded_ip_ranges":"10.0.0.0/8","permitted_email_addresses":"example.com",
		"excluded_uri_domains":"evil.org","other_sans":"1.2.3;UTF8:x","uri_sans":"https://a.b/c","ip_sans":"::1"}`)
	wish, err := role.ReadRoot(p)
	if err != nil {
		t.Fatal(err)
	}
	if kind, bits, err := role.ReadKey(p); kind != role.KeyEC || bits != 384 || err != nil {
		t.Errorf("key %s %d, %v", kind, bits, err)
	}
	if unused := p.Unused(); len(unused) > 0 {
		t.Errorf("not read: %v", unused)
	}
	req, warnings, err := wish.Request(&role.Terms{Now: now, DefaultTTL: time.Hour, MaxTTL: 87600 * time.Hour})
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	req.PublicKey = rootKey.Public()
	prepared, err := issuance.PrepareRoot(req, now)
	if err != nil {
		t.Fatal(err)
	}
	_, c, err := issuance.IssueRoot(prepared, rootKey.(crypto.MessageSigner))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(c.Subject, c.DNSNames, c.EmailAddresses, c.MaxPathLen, c.PermittedDNSDomains, c.ExcludedIPRanges, c.PermittedEmailAddresses,
		c.ExcludedURIDomains, c.NotAfter.Sub(now), now.Sub(c.NotBefore), len(c.IPAddresses), len(c.URIs))
	want := "CN=Example Root,O=Org,C=NL [root.example.com] [ca@example.com] 1 [example.com example.org] [10.0.0.0/8] [example.com] [evil.org] 8760h0m0s 1m0s 1 1"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestRootWarns: the mount's maximum, a path length of 0, usages that no CA has.
func TestRootWarns(t *testing.T) {
	wish, err := role.ReadRoot(params(t, `{"common_name":"example.com","ttl":"8760h","max_path_length":0,"key_usage":"KeyAgreement"}`))
	if err != nil {
		t.Fatal(err)
	}
	req, warnings, err := wish.Request(&role.Terms{Now: now, DefaultTTL: time.Hour, MaxTTL: 768 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if len(req.DNSNames) != 1 || !req.NotAfter.Equal(now.Add(768*time.Hour)) {
		t.Errorf("asked for as %+v", req)
	}
	text := strings.Join(warnings, "|")
	for _, want := range []string{"longer than permitted maxTTL", "Max path length", "others were ignored"} {
		if !strings.Contains(text, want) {
			t.Errorf("warnings %q lack %q", warnings, want)
		}
	}
}

func TestRootRefuses(t *testing.T) {
	for body, reason := range map[string]string{
		`{"common_name":"a","key_type":"any"}`:                                              "unknown key type any",
		`{"common_name":"a","key_bits":1024}`:                                               "RSA keys < 2048",
		`{"common_name":"a","permitted_ip_ranges":"x"}`:                                     `permitted_ip_ranges: "x"`,
		`{"common_name":"a","excluded_ip_ranges":"1.2.3"}`:                                  `excluded_ip_ranges: "1.2.3"`,
		`{"common_name":"a","max_path_length":-2}`:                                          "max_path_length is -2",
		`{"common_name":"a","permitted_dns_domains":"*.example.com"}`:                       "permitted_dns_domains",
		`{"common_name":"a","excluded_dns_domains":"https://a.b"}`:                          "excluded_dns_domains",
		`{"common_name":"a","permitted_email_addresses":"a@b@c"}`:                           "permitted_email_addresses",
		`{"common_name":"a","excluded_email_addresses":"@example.com"}`:                     "excluded_email_addresses",
		`{"common_name":"a","permitted_uri_domains":"https://a.b"}`:                         "permitted_uri_domains",
		`{"common_name":"a","excluded_uri_domains":"a..b"}`:                                 "excluded_uri_domains",
		`{"common_name":"a","ou":"` + strings.Repeat("x,", 1001) + `y"}`:                    "names are asked for",
		`{"common_name":"a","excluded_dns_domains":"` + strings.Repeat("a.b,", 1001) + `"}`: "names are asked for",
		`{"common_name":"a","alt_names":"` + strings.Repeat("a.b,", 1001) + `"}`:            "names are asked for",
		`{"common_name":"a","ip_sans":"x"}`:                                                 `the value "x" is not a valid IP address`,
		`{"common_name":"a","ttl":"1h","not_after":"2030-01-01T00:00:00Z"}`:                 "Either ttl or not_after",
		`{"common_name":"a","max_path_length":"many"}`:                                      "max_path_length",
		`{"common_name":"a","other_sans":"x"}`:                                              "could not parse requested other SAN",
	} {
		p := params(t, body)
		wish, err := role.ReadRoot(p)
		if err == nil {
			_, _, err = role.ReadKey(p)
		}
		if err == nil {
			_, _, err = wish.Request(terms(t))
		}
		var refused *role.Refusal
		var converted *vaultapi.Error
		if !errors.As(err, &refused) && !errors.As(err, &converted) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: got %v, want a refusal with %q", body, err, reason)
		}
	}
}
