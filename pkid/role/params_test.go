package role_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

func params(t testing.TB, body string) *vaultapi.Params {
	t.Helper()
	p, err := vaultapi.ParseJSON([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestDefaults: a role of which nothing is said is Default, and what is stored
// and answered of it does not change unnoticed.
func TestDefaults(t *testing.T) {
	r, warnings, err := role.FromParams(params(t, `{}`))
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	if !reflect.DeepEqual(r, role.Default()) {
		t.Errorf("nothing given: %+v", r)
	}
	stored, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "default.json")
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(stored)+"\n" != string(want) {
		t.Errorf("stored as\n%s\nand not as in %s", stored, golden)
	}
	data, err := r.Response()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range data {
		if value == nil {
			t.Errorf("%s is answered as null", name)
		}
	}
	if data["allow_token_displayname"] != false || data["ttl"] != json.Number("0") || data["not_before_duration"] != json.Number("30") {
		t.Errorf("answered as %v", data)
	}
}

// TestEveryField writes a value other than the default to each field and reads
// it back, so that no field is parsed and forgotten.
func TestEveryField(t *testing.T) {
	values := map[string]string{
		"issuer_ref": `"x"`, "ttl": `60`, "max_ttl": `3600`, "not_after": `"2030-01-01T00:00:00Z"`, "not_before_duration": `90`,
		"cn_validations": `["email"]`, "serial_number_source": `"json"`, "key_type": `"ec"`, "key_bits": `384`, "signature_bits": `512`,
		"key_usage": `["DataEncipherment"]`, "ext_key_usage": `["TimeStamping"]`, "ext_key_usage_oids": `["1.2.3"]`,
		"policy_identifiers": `["1.2.3"]`, "allowed_other_sans": `["1.2.3;UTF8:*"]`,
		"lint": `"enforce"`, "lint_waive": `["e_ian_bare_wildcard"]`, "lint_sources": `["CABF_BR","Mozilla"]`,
	}
	data, err := role.Default().Response()
	if err != nil {
		t.Fatal(err)
	}
	delete(data, "allow_token_displayname")
	for name, value := range data {
		switch v := value.(type) {
		case bool:
			values[name] = map[bool]string{true: "false", false: "true"}[v]
		case []any:
			if values[name] == "" {
				values[name] = `["x","y, z"]`
			}
		}
		if values[name] == "" {
			t.Fatalf("no value for %s", name)
		}
	}
	var body strings.Builder
	for name, value := range values {
		body.WriteString(`,"` + name + `":` + value)
	}
	p := params(t, "{"+body.String()[1:]+"}")
	r, _, err := role.FromParams(p)
	if err != nil {
		t.Fatal(err)
	}
	if unused := p.Unused(); len(unused) > 0 {
		t.Errorf("not read: %v", unused)
	}
	stored, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if r, err = role.Decode(stored); err != nil {
		t.Fatal(err)
	}
	got, err := r.Response()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range values {
		text, _ := json.Marshal(got[name])
		if string(text) != value {
			t.Errorf("%s was written as %s and is read as %s", name, value, text)
		}
	}
	// A PATCH of nothing changes nothing; one that clears a list clears that.
	merged, _, err := r.Merge(params(t, `{}`))
	if err != nil || !reflect.DeepEqual(merged, r) {
		t.Errorf("PATCH {}: %v", err)
	}
	before := slices.Clone(r.OU)
	merged, _, err = r.Merge(params(t, `{"ou":[],"ttl":"2m","key_type":"rsa"}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(merged.OU) > 0 || merged.TTL != 120 || merged.KeyBits != 2048 || merged.SignatureBits != 256 || merged.KeyType != "rsa" || !merged.NoStore {
		t.Errorf("PATCH: %+v", merged)
	}
	if !slices.Equal(r.OU, before) || r.TTL != 60 || r.KeyType != "ec" {
		t.Errorf("PATCH changed the role it was given: %+v", r)
	}
}

func TestFromParamsRefuses(t *testing.T) {
	for body, reason := range map[string]string{
		`{"ttl":"2h","max_ttl":"1h"}`:                `"ttl" value must be less than "max_ttl" value`,
		`{"key_type":"dsa"}`:                         "unknown key type dsa",
		`{"key_bits":1024}`:                          "RSA keys < 2048 bits are unsafe and not supported: got 1024",
		`{"key_bits":5000}`:                          "unsupported bit length for RSA key: 5000",
		`{"key_type":"ec","key_bits":2048}`:          "unsupported bit length for EC key: 2048",
		`{"key_type":"ml-dsa","key_bits":256}`:       "key_bits must be 44, 65 or 87, got 256",
		`{"signature_bits":1}`:                       "unsupported hash signature algorithm: 1",
		`{"cn_validations":"email,email"}`:           "cn_validations value incorrect: multiple `email` entries",
		`{"cn_validations":"bogus"}`:                 "cn_validations value incorrect: unknown type: `bogus`",
		`{"cn_validations":"disabled,email"}`:        "cn_validations value incorrect: cannot specify `disabled` along with `email` or `hostname`",
		`{"ext_key_usage_oids":"x.y"}`:               `"x.y" could not be parsed as a valid oid for an extended key usage`,
		`{"ext_key_usage_oids":"1.40.1"}`:            `"1.40.1" could not be parsed as a valid oid for an extended key usage`,
		`{"policy_identifiers":"bad"}`:               `policy identifier "bad" is neither a valid OID`,
		`{"policy_identifiers":"[{\"oid\":\"x\"}]"}`: `is neither a valid OID`,
		`{"allowed_other_sans":"bad"}`:               `error parsing allowed_other_sans: expected a semicolon in other SAN "bad"`,
		`{"allowed_other_sans":"1.2;utf8"}`:          "expected a colon",
		`{"allowed_other_sans":"1.2;ia5:x"}`:         "only UTF8 other SANs are supported",
		`{"not_after":"tomorrow"}`:                   `not_after: parsing time "tomorrow"`,
		`{"serial_number_source":"csr"}`:             `unknown serial_number_source "csr"`,
		`{"ttl":"soon"}`:                             "Field validation failed",
		`{"allow_any_name":"maybe"}`:                 "Field validation failed",
	} {
		_, _, err := role.FromParams(params(t, body))
		var refused *role.Refusal
		var converted *vaultapi.Error
		if !errors.As(err, &refused) && !errors.As(err, &converted) {
			t.Errorf("%s: got %v, want a refusal", body, err)
		} else if !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: got %q, want %q in it", body, err, reason)
		}
	}
}

func TestFromParamsWarns(t *testing.T) {
	for body, want := range map[string]string{
		`{"generate_lease":true}`:                                       "leases are not issued",
		`{"generate_lease":true,"no_store":true}`:                       "mutually exclusive",
		`{"key_usage":"Bogus,DigitalSignature"}`:                        "Bogus",
		`{"key_usage":"certsign"}`:                                      "CertSign",
		`{"ext_key_usage":"Bogus"}`:                                     "Bogus",
		`{"allowed_domains":"{{x}}","allowed_domains_template":true}`:   "templates",
		`{"allowed_uri_sans":"{{x}}","allowed_uri_sans_template":true}`: "templates",
	} {
		_, warnings, err := role.FromParams(params(t, body))
		if err != nil || !strings.Contains(strings.Join(warnings, "\n"), want) {
			t.Errorf("%s: warnings %q, want %q among them; %v", body, warnings, want, err)
		}
	}
}

// TestPolicyIdentifiers: three ways to write them, one to read them.
func TestPolicyIdentifiers(t *testing.T) {
	const full = `{"oid":"1.2.3","cps":"https://x.y/?a&b","notice":"One, two"}`
	quoted, _ := json.Marshal("[" + full + `,{"oid":"1.2.4"}]`)
	for body, want := range map[string][]string{
		`{"policy_identifiers":"1.2.3, 1.2.4"}`:          {"1.2.3", "1.2.4"},
		`{"policy_identifiers":["1.2.3"]}`:               {"1.2.3"},
		`{"policy_identifiers":` + string(quoted) + `}`:  {full, `{"oid":"1.2.4"}`},
		`{"policy_identifiers":["{\"oid\":\"1.2.3\"}"]}`: {`{"oid":"1.2.3"}`},
		`{"policy_identifiers":""}`:                      {},
	} {
		r, _, err := role.FromParams(params(t, body))
		if err != nil || !slices.Equal(r.PolicyIdentifiers, want) {
			t.Errorf("%s reads as %q, want %q; %v", body, r.PolicyIdentifiers, want, err)
		}
	}
	r, _, err := role.FromParams(params(t, `{"allow_any_name":true,"policy_identifiers":`+string(quoted)+`}`))
	if err != nil {
		t.Fatal(err)
	}
	req, _, err := r.Request(&role.Wish{CommonName: "a"}, nil, terms(t))
	if err != nil {
		t.Fatal(err)
	}
	if p := req.Policies; len(p) != 2 || p[0].ID.String() != "1.2.3" || p[0].CPS != "https://x.y/?a&b" || p[0].Notice != "One, two" || p[1].CPS != "" {
		t.Errorf("asked for as %+v", p)
	}
}
