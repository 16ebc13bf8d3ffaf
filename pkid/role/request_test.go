package role_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/role"
)

// TestRefusalsInOrder: a wish with every fault is refused for the first, and
// with that mended for the next (vault-api 4.5).
func TestRefusalsInOrder(t *testing.T) {
	r := parseRole(t, strings.Fields("allowed_domains=example.com allow_bare_domains=true allow_ip_sans=false"))
	wish := &role.Wish{
		SerialNumber: "7", AltNames: []string{"evil.org", "u@evil.org"}, OtherSANs: []string{"bad"},
		IPSANs: []string{"300.1.1.1"}, URISANs: []string{"https://a.b"}, NotAfter: "x", UserIDs: []string{"alice"},
	}
	for _, step := range []struct {
		reason string
		mend   func()
	}{
		{`the common_name field is required, or must be provided in a CSR with "use_csr_common_name" set to true, unless "require_cn" is set to false`, func() { wish.CommonName = "a..b" }},
		{`idna: invalid label "a..b"`, func() { wish.CommonName = "evil.org" }},
		{"common name evil.org not allowed by this role", func() { wish.CommonName = "example.com" }},
		{"serial_number 7 not allowed by this role", func() { r.AllowedSerialNumbers = []string{"7"} }},
		{"subject alternate name evil.org not allowed by this role", func() { wish.AltNames = wish.AltNames[1:] }},
		{"email address u@evil.org not allowed by this role", func() { wish.AltNames = nil }},
		{`could not parse requested other SAN: expected a semicolon in other SAN "bad"`, func() { wish.OtherSANs = []string{"1.2.3;UTF8:x"} }},
		{"other SAN OID 1.2.3 not allowed by this role", func() { r.AllowedOtherSANs = []string{"1.2.3;UTF8:y*"} }},
		{"other SAN x not allowed for OID 1.2.3 by this role", func() { wish.OtherSANs = []string{"1.2.3;utf-8:yes"} }},
		{`the value "300.1.1.1" is not a valid IP address`, func() { wish.IPSANs = []string{"10.0.0.1"} }},
		{"IP Subject Alternative Names are not allowed in this role, but was provided via the API", func() { r.AllowIPSANs = true }},
		{"URI Subject Alternative Names are not allowed in this role, but were provided via the API", func() { r.AllowedURISANs = []string{"https://*", "::*"} }},
		{"", func() { wish.URISANs = []string{"http://a.b"} }},
		{"URI Subject Alternative Names were provided via the API which are not valid for this role", func() { wish.URISANs = []string{"::bad"} }},
		{`the provided URI Subject Alternative Name "::bad" is not a valid URI`, func() { wish.URISANs = nil }},
		{`not_after: parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"`, func() { wish.NotAfter = "" }},
		{"user_id alice is not allowed by this role", func() { r.AllowedUserIDs = []string{"al*"} }},
	} {
		if step.reason != "" {
			_, _, err := r.Request(wish, nil, terms(t))
			var refused *role.Refusal
			if !errors.As(err, &refused) || err.Error() != step.reason {
				t.Fatalf("got %v, want %q", err, step.reason)
			}
		}
		step.mend()
	}
	req, _, err := r.Request(wish, nil, terms(t))
	if err != nil {
		t.Fatal(err)
	}
	if req.Subject.SerialNumber != "7" || len(req.OtherNames) != 1 || len(req.IPAddresses) != 1 || req.Subject.ExtraNames[0].Value != "alice" {
		t.Errorf("asked for as %+v", req)
	}
}

// TestSANsOfWish: what becomes an alternative name, and of which kind.
func TestSANsOfWish(t *testing.T) {
	r := parseRole(t, strings.Fields("allow_any_name=true enforce_hostnames=false"))
	for _, c := range []struct {
		wish        role.Wish
		dns, emails []string
	}{
		{role.Wish{CommonName: "b.example", AltNames: []string{"a.example", "b.example", "u@example"}}, []string{"a.example", "b.example"}, []string{"u@example"}},
		{role.Wish{CommonName: "u@example"}, nil, []string{"u@example"}},
		{role.Wish{CommonName: "bücher.example"}, []string{"xn--bcher-kva.example"}, nil},
		{role.Wish{CommonName: "*.example"}, []string{"*.example"}, nil},
		{role.Wish{CommonName: "w*.example"}, nil, nil},
		{role.Wish{CommonName: "An Authority"}, nil, nil},
		{role.Wish{CommonName: "a.example", ExcludeCNFromSANs: true}, nil, nil},
		{role.Wish{CommonName: "a", AltNames: []string{"not a host", "a_b"}}, []string{"a"}, nil},
	} {
		req, _, err := r.Request(&c.wish, nil, terms(t))
		if err != nil {
			t.Errorf("%+v: %v", c.wish, err)
		} else if !slices.Equal(req.DNSNames, c.dns) || !slices.Equal(req.EmailAddresses, c.emails) {
			t.Errorf("%+v gives %q and %q, want %q and %q", c.wish, req.DNSNames, req.EmailAddresses, c.dns, c.emails)
		}
	}
	many := make([]string, 1001)
	for i := range many {
		many[i] = fmt.Sprintf("n%d.example", i)
	}
	if _, _, err := r.Request(&role.Wish{CommonName: "a", AltNames: many}, nil, terms(t)); err == nil {
		t.Error("1001 names were accepted")
	}
	_, warnings, err := r.Request(&role.Wish{CommonName: strings.Repeat("x.", 40) + "y"}, nil, terms(t))
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "64 characters") {
		t.Errorf("a long common name: warnings %q, %v", warnings, err)
	}
}

// TestUsages: flags, names and OIDs in the order in which Vault writes them.
func TestUsages(t *testing.T) {
	for words, want := range map[string]struct {
		ku   x509.KeyUsage
		ekus []x509.ExtKeyUsage
	}{
		"": {x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement | x509.KeyUsageKeyEncipherment,
			[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}},
		"key_usage= server_flag=false client_flag=false": {0, nil},
		"key_usage=contentCommitment,ENCIPHERONLY ext_key_usage=ocspsigning,any,serverauth code_signing_flag=true": {
			x509.KeyUsageContentCommitment | x509.KeyUsageEncipherOnly,
			[]x509.ExtKeyUsage{x509.ExtKeyUsageAny, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageCodeSigning, x509.ExtKeyUsageOCSPSigning},
		},
	} {
		r := parseRole(t, append(strings.Fields(words), "allow_any_name=true"))
		req, _, err := r.Request(&role.Wish{CommonName: "a"}, nil, terms(t))
		if err != nil || req.KeyUsage != want.ku || !slices.Equal(req.ExtendedKeyUsage, want.ekus) {
			t.Errorf("%q: %b %v, want %b %v; %v", words, req.KeyUsage, req.ExtendedKeyUsage, want.ku, want.ekus, err)
		}
	}
	r := parseRole(t, strings.Fields("allow_any_name=true key_usage=CertSign"))
	if _, _, err := r.Request(&role.Wish{CommonName: "a"}, nil, terms(t)); err == nil {
		t.Error("CertSign was asked for")
	}
}

// TestSubject: of the role, values once and in their order.
func TestSubject(t *testing.T) {
	r, _, err := role.FromParams(params(t, `{"allow_any_name":true,"ou":["B","A","B"],"organization":"Org","country":"NL,US",
		"locality":"L","province":"P","street_address":["1, Street"],"postal_code":1234,"signature_bits":384,"use_pss":true,
		"basic_constraints_valid_for_non_ca":"true","ext_key_usage_oids":"1.2.3"}`))
	if err != nil {
		t.Fatal(err)
	}
	req, _, err := r.Request(&role.Wish{CommonName: "a"}, nil, terms(t))
	if err != nil {
		t.Fatal(err)
	}
	s := req.Subject
	got := fmt.Sprint(s.CommonName, s.OrganizationalUnit, s.Organization, s.Country, s.Locality, s.Province, s.StreetAddress, s.PostalCode,
		req.SignatureBits, req.PSS, req.BasicConstraints, req.ExtendedKeyUsageOIDs)
	if want := "a[B A] [Org] [NL US] [L] [P] [1, Street] [1234] 384 true true [1.2.3]"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// FuzzNames asks for any name under several roles: a refusal or a certificate
// that issuance can prepare, never a fault; and what is allowed under a domain
// is of that domain.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"a.example.com", "*.example.com", "u@example.com", "bücher.example.com", "a..b", "*", "@", "x@", "a\x00.example.com", "localhost"} {
		f.Add(name)
	}
	strict := parseRole(f, strings.Fields("allowed_domains=example.com allow_subdomains=true allow_bare_domains=true allow_localhost=false require_cn=false"))
	free := parseRole(f, strings.Fields("allow_any_name=true enforce_hostnames=false require_cn=false cn_validations=disabled"))
	f.Fuzz(func(t *testing.T, name string) {
		for _, r := range []*role.Role{strict, free} {
			req, _, err := r.Request(&role.Wish{CommonName: name, AltNames: []string{name}}, nil, terms(t))
			var refused *role.Refusal
			if err == nil {
				req.PublicKey = csrKey().Public()
				_, err = observedIssuer(t).Prepare(req, now)
			}
			if err != nil {
				if !errors.As(err, &refused) {
					t.Fatalf("%q: not a refusal: %v", name, err)
				}
				continue
			}
			if r == strict && name != "" && !strings.HasSuffix(strings.ToLower(name), "example.com") {
				t.Fatalf("%q was allowed", name)
			}
		}
	})
}
