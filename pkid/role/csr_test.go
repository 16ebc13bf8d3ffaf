package role_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/role"
)

var csrKey = sync.OnceValue(func() crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// makeCSR has x509 write a certification request in PEM.
func makeCSR(t testing.TB, template *x509.CertificateRequest, key crypto.Signer) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func parseCSR(t testing.TB, template *x509.CertificateRequest) *role.CSR {
	t.Helper()
	csr, err := role.ParseCSR(makeCSR(t, template, csrKey()))
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

// csrWithNames asks for alternative names, each as its look suggests.
func csrWithNames(t testing.TB, names ...string) *role.CSR {
	t.Helper()
	var template x509.CertificateRequest
	for _, name := range names {
		if strings.Contains(name, "@") {
			template.EmailAddresses = append(template.EmailAddresses, name)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return parseCSR(t, &template)
}

func TestParseCSRRefuses(t *testing.T) {
	good := makeCSR(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "a.example.com"}}, csrKey())
	block, _ := pem.Decode([]byte(good))
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	forged := bytes.Replace(block.Bytes, []byte("a.example.com"), []byte("b.example.com"), 1)
	var many []string
	for i := range 1001 {
		many = append(many, fmt.Sprintf("n%d.example.com", i))
	}
	for name, c := range map[string]struct{ text, reason string }{
		"nothing":           {"", `"csr" is empty`},
		"no PEM":            {"hello", "csr contains no data"},
		"another thing":     {encode("CERTIFICATE", block.Bytes), "certificate request could not be parsed"},
		"garbage":           {encode("CERTIFICATE REQUEST", []byte("garbage")), "certificate request could not be parsed"},
		"cut off":           {encode("CERTIFICATE REQUEST", block.Bytes[:len(block.Bytes)-2]), "certificate request could not be parsed"},
		"something follows": {encode("CERTIFICATE REQUEST", append(slices.Clone(block.Bytes), 0)), "certificate request could not be parsed"},
		"two":               {good + good, "more than one PEM block"},
		"another's":         {encode("CERTIFICATE REQUEST", forged), "request signature invalid"},
		"too long":          {good + strings.Repeat("\n", 64<<10), "longer than"},
		"too many names":    {makeCSR(t, &x509.CertificateRequest{DNSNames: many}, csrKey()), "1001 names are asked for"},
	} {
		_, err := role.ParseCSR(c.text)
		var refused *role.Refusal
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: got %v, want a refusal with %q", name, err, c.reason)
		}
	}
	if _, err := role.ParseCSR(encode("NEW CERTIFICATE REQUEST", block.Bytes)); err != nil {
		t.Errorf("the older PEM type: %v", err)
	}
}

// TestSignKeys: which keys a CSR may have under which role.
func TestSignKeys(t *testing.T) {
	ec := func(curve elliptic.Curve) crypto.Signer {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsa1024, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		role, reason string
		key          crypto.Signer
	}{
		{"key_type=rsa", "", rsa2048},
		{"key_type=rsa key_bits=3072", "role requires a minimum of a 3072-bit key, but CSR's key is 2048 bits", rsa2048},
		{"key_type=rsa", "RSA keys < 2048 bits are unsafe and not supported: got 1024", rsa1024},
		{"key_type=any", "RSA keys < 2048 bits are unsafe and not supported: got 1024", rsa1024},
		{"key_type=rsa", "role requires keys of type rsa", ec(elliptic.P256())},
		{"key_type=ed25519", "role requires keys of type ed25519", ec(elliptic.P256())},
		{"key_type=ec", "", ec(elliptic.P256())},
		{"key_type=ec", "", ec(elliptic.P521())},
		{"key_type=ec", "role requires a minimum of a 256-bit key, but CSR's key is 224 bits", ec(elliptic.P224())},
		{"key_type=ec key_bits=384", "role requires a minimum of a 384-bit key, but CSR's key is 256 bits", ec(elliptic.P256())},
		{"key_type=any", "", ec(elliptic.P224())},
		{"key_type=any", "", rsa2048},
		{"key_type=any", "", edKey},
		{"key_type=ed25519", "", edKey},
		{"key_type=any", "", mldsaKey(t, mldsa.MLDSA44())},
		{"key_type=ml-dsa", "role requires a key of ML-DSA-65 at least, but CSR's key is of ML-DSA-44", mldsaKey(t, mldsa.MLDSA44())},
		{"key_type=ml-dsa key_bits=44", "", mldsaKey(t, mldsa.MLDSA44())},
		{"key_type=ml-dsa", "", mldsaKey(t, mldsa.MLDSA87())},
		{"key_type=ec", "role requires keys of type ec", mldsaKey(t, mldsa.MLDSA65())},
		{"key_type=ml-dsa", "role requires keys of type ml-dsa", edKey},
	} {
		r := parseRole(t, append(strings.Fields(c.role), "allow_any_name=true"))
		csr, err := role.ParseCSR(makeCSR(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "a"}}, c.key))
		if err != nil {
			t.Fatal(err)
		}
		req, _, err := r.Request(&role.Wish{}, csr, terms(t))
		switch {
		case c.reason == "" && err != nil, c.reason != "" && (err == nil || err.Error() != c.reason):
			t.Errorf("%s with %T: got %v, want %q", c.role, c.key, err, c.reason)
		case err == nil && !csr.PublicKey().(interface{ Equal(crypto.PublicKey) bool }).Equal(req.PublicKey):
			t.Errorf("%s: the request has another key", c.role)
		}
	}
}

// otherNameCSR has a UPN, an other name that is no text, and a directory name.
func otherNameCSR(t *testing.T) *x509.CertificateRequest {
	t.Helper()
	value := []byte("\x30\x34" +
		"\xa0\x20\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03\xa0\x12\x0c\x10user@example.com" +
		"\xa0\x08\x06\x03\x2a\x03\x04\xa0\x01\x05" +
		"\xa4\x02\x30\x00" +
		"\x82\x02ab")
	return &x509.CertificateRequest{
		Subject:         pkix.Name{CommonName: "a.example.com", SerialNumber: "12", ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: "alice"}}},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}},
	}
}

// TestSignNames: where the names of a certificate come from.
func TestSignNames(t *testing.T) {
	uri, _ := url.Parse("spiffe://example.com/a")
	full := &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "csr.example.com", Organization: []string{"Evil"}},
		DNSNames: []string{"b.example.com", "a.example.com"}, EmailAddresses: []string{"u@a.example.com"},
		IPAddresses: []net.IP{net.ParseIP("10.0.0.1")}, URIs: []*url.URL{uri},
	}
	base := []string{"key_type=any", "allowed_domains=example.com", "allow_subdomains=true", "allowed_uri_sans=spiffe://example.com/*"}
	wish := &role.Wish{CommonName: "api.example.com", AltNames: []string{"c.example.com"}, IPSANs: []string{"10.0.0.2"}}

	req, warnings, err := parseRole(t, base).Request(wish, parseCSR(t, full), terms(t))
	if err != nil {
		t.Fatal(err)
	}
	if req.Subject.CommonName != "csr.example.com" || len(req.Subject.Organization) > 0 ||
		!slices.Equal(req.DNSNames, []string{"a.example.com", "b.example.com", "csr.example.com"}) ||
		len(req.EmailAddresses) != 1 || len(req.IPAddresses) != 1 || req.IPAddresses[0].String() != "10.0.0.1" || len(req.URIs) != 1 {
		t.Errorf("from the CSR: %+v", req)
	}
	if len(warnings) != 3 || !strings.Contains(warnings[0], `"use_csr_common_name" set to true`) || !strings.Contains(warnings[1], `"use_csr_sans" set to true`) {
		t.Errorf("warnings %q", warnings)
	}

	r := parseRole(t, append(base, "use_csr_common_name=false", "use_csr_sans=false"))
	if req, warnings, err = r.Request(wish, parseCSR(t, full), terms(t)); err != nil {
		t.Fatal(err)
	}
	if req.Subject.CommonName != "api.example.com" || !slices.Equal(req.DNSNames, []string{"api.example.com", "c.example.com"}) ||
		len(req.EmailAddresses)+len(req.URIs) > 0 || req.IPAddresses[0].String() != "10.0.0.2" || len(warnings) > 0 {
		t.Errorf("from the API: %+v, warnings %q", req, warnings)
	}

	r = parseRole(t, append(base, "allowed_other_sans=*", "allowed_serial_numbers=1*", "allowed_user_ids=ALICE", "enforce_hostnames=false", "allow_any_name=true"))
	if req, warnings, err = r.Request(&role.Wish{OtherSANs: []string{"1.2.3;UTF-8:x"}}, parseCSR(t, otherNameCSR(t)), terms(t)); err != nil {
		t.Fatal(err)
	}
	if len(req.OtherNames) != 2 || req.OtherNames[0].Value != "user@example.com" || req.OtherNames[1].Value != "x" ||
		req.Subject.SerialNumber != "12" || req.Subject.ExtraNames[0].Value != "alice" {
		t.Errorf("other names: %+v", req)
	}
	if len(warnings) != 1 || !strings.HasPrefix(warnings[0], "2 subject alternative names") {
		t.Errorf("warnings %q", warnings)
	}
	r.SerialNumberSource = "json"
	if req, _, err = r.Request(&role.Wish{}, parseCSR(t, otherNameCSR(t)), terms(t)); err != nil || req.Subject.SerialNumber != "" {
		t.Errorf("serial_number_source=json took %q from the CSR: %v", req.Subject.SerialNumber, err)
	}
}

func FuzzParseCSR(f *testing.F) {
	good := makeCSR(f, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "a.example.com"}, DNSNames: []string{"b.example.com"}}, csrKey())
	block, _ := pem.Decode([]byte(good))
	f.Add(block.Bytes)
	f.Add([]byte("garbage"))
	r := parseRole(f, []string{"key_type=any", "allow_any_name=true", "allowed_other_sans=*", "allowed_uri_sans=*"})
	f.Fuzz(func(t *testing.T, der []byte) {
		csr, err := role.ParseCSR(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
		var refused *role.Refusal
		if err != nil {
			if !errors.As(err, &refused) {
				t.Fatalf("not a refusal: %v", err)
			}
			return
		}
		if _, _, err := r.Request(&role.Wish{}, csr, terms(t)); err != nil && !errors.As(err, &refused) {
			t.Fatalf("not a refusal: %v", err)
		}
	})
}

// FuzzCSRNames signs a CSR with any bytes as its alternative names, which
// FuzzParseCSR cannot get past the signature.
func FuzzCSRNames(f *testing.F) {
	f.Add([]byte("\x30\x04\x82\x02ab"))
	f.Add([]byte("\x30\x12\xa0\x10\x06\x03\x2a\x03\x04\xa0\x09\x0c\x07u@x.org"))
	r := parseRole(f, []string{"key_type=any", "allow_any_name=true", "allowed_other_sans=*", "allowed_uri_sans=*", "require_cn=false"})
	f.Fuzz(func(t *testing.T, value []byte) {
		san := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}
		text := makeCSR(t, &x509.CertificateRequest{ExtraExtensions: []pkix.Extension{san}}, edKey)
		var refused *role.Refusal
		csr, err := role.ParseCSR(text)
		if err != nil {
			if !errors.As(err, &refused) {
				t.Fatalf("not a refusal: %v", err)
			}
			return
		}
		req, _, err := r.Request(&role.Wish{}, csr, terms(t))
		if err == nil {
			_, err = observedIssuer(t).Prepare(req, now)
		}
		if err != nil && !errors.As(err, &refused) {
			t.Fatalf("not a refusal: %v", err)
		}
		if req, _, err = role.VerbatimRequest(nil, &role.Verbatim{Wish: &role.Wish{}}, csr, terms(t)); err == nil {
			_, err = observedIssuer(t).Prepare(req, now)
		}
		if err != nil && !errors.As(err, &refused) {
			t.Fatalf("verbatim: not a refusal: %v", err)
		}
	})
}
