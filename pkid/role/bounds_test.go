package role_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// mustName checks that err is the caller's fault and names the parameter.
func mustName(t *testing.T, what, field string, err error) {
	t.Helper()
	var refused *role.Refusal
	var converted *vaultapi.Error
	if !errors.As(err, &refused) && !errors.As(err, &converted) {
		t.Errorf("%s: got %v, want a refusal", what, err)
	} else if !strings.Contains(err.Error(), field) {
		t.Errorf("%s: %q does not name %s", what, err, field)
	} else if len(err.Error()) > 10_000 {
		t.Errorf("%s: a refusal of %d octets", what, len(err.Error()))
	}
}

// TestWrongTypes writes to each field of a role, and to each parameter of the
// paths that issue, what does not convert.
func TestWrongTypes(t *testing.T) {
	data, err := role.Default().Response()
	if err != nil {
		t.Fatal(err)
	}
	delete(data, "allow_token_displayname")
	for field, value := range data {
		wrong := []string{`{"a":1}`, `[{"a":1}]`}
		switch value.(type) {
		case bool:
			wrong = append(wrong, `"perhaps"`, `2`, `[true]`)
		case json.Number:
			wrong = append(wrong, `"many"`, `-1`, `1.5`, `[1]`, `99999999999999999999`)
		}
		for _, w := range wrong {
			_, _, err := role.FromParams(params(t, fmt.Sprintf(`{%q:%s}`, field, w)))
			mustName(t, field+" "+w, strings.Map(firstWord(field), field), err)
			_, _, err = role.Default().Merge(params(t, fmt.Sprintf(`{%q:%s}`, field, w)))
			mustName(t, "PATCH "+field+" "+w, strings.Map(firstWord(field), field), err)
		}
	}
	for _, field := range []string{
		"common_name", "alt_names", "ip_sans", "uri_sans", "other_sans", "serial_number", "user_ids", "ttl", "not_after", "exclude_cn_from_sans",
		"key_type", "key_bits", "key_usage", "ext_key_usage", "ext_key_usage_oids", "signature_bits", "use_pss", "basic_constraints_valid_for_non_ca",
	} {
		for _, w := range []string{`{"a":1}`, `[[1]]`} {
			p := params(t, fmt.Sprintf(`{%q:%s}`, field, w))
			role.ReadWish(p)
			role.ReadVerbatim(p)
			mustName(t, field+" "+w, field, p.Err())
		}
	}
}

// firstWord keeps the field as it is; numbers of keys and hashes are refused in
// Vault's words, which speak of the thing and not of the field.
func firstWord(field string) func(rune) rune {
	return func(r rune) rune {
		if field == "key_bits" || field == "signature_bits" {
			return -1
		}
		return r
	}
}

func repeated(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ","+format, i)
	}
	return b.String()[1:]
}

// TestEnormous: what is too long or too many is refused by name, before any
// work is done for it.
func TestEnormous(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	free := parseRole(t, strings.Fields("allow_any_name=true enforce_hostnames=false cn_validations=disabled allowed_uri_sans=* allowed_other_sans=* allowed_user_ids=* allowed_serial_numbers=*"))
	for field, values := range map[string][]string{
		"common_name":   {long, "a\x00.example.com", "a\nb"},
		"alt_names":     {repeated(10_000, "n%d.example.com"), long, "a\x00.example.com"},
		"ip_sans":       {repeated(10_000, "10.0.0.%d"), long},
		"uri_sans":      {repeated(10_000, "https://a.example/%d"), "https://" + long},
		"other_sans":    {repeated(10_000, "1.2.3;UTF8:%d"), "1.2.3;UTF8:" + long},
		"user_ids":      {repeated(10_000, "u%d"), long, "a\x1b"},
		"serial_number": {long, "1\x00"},
		"not_after":     {long},
	} {
		for _, value := range values {
			p := vaultapi.NewParams(map[string]any{"common_name": "a.example.com", field: value})
			_, _, err := free.Request(role.ReadWish(p), nil, terms(t))
			mustName(t, field, field, err)
		}
	}
	// Many of several kinds, each within its bounds.
	p := vaultapi.NewParams(map[string]any{"common_name": "a", "alt_names": repeated(600, "n%d.example.com"), "user_ids": repeated(600, "u%d")})
	_, _, err := free.Request(role.ReadWish(p), nil, terms(t))
	mustName(t, "1200 names in all", "user_ids: 1200 names", err)

	for _, field := range []string{
		"allowed_domains", "allowed_uri_sans", "allowed_serial_numbers", "allowed_user_ids", "key_usage", "ext_key_usage", "ou", "organization",
		"country", "locality", "province", "street_address", "postal_code",
	} {
		for _, value := range []string{repeated(10_001, "e%d"), long, "a\x00b"} {
			_, _, err := role.FromParams(vaultapi.NewParams(map[string]any{field: value}))
			mustName(t, field, field, err)
		}
	}
	for field, value := range map[string]string{
		"allowed_other_sans": "1.2.3;UTF8:" + long, "policy_identifiers": repeated(10_001, "1.2.%d"), "ext_key_usage_oids": repeated(10_001, "1.2.%d"),
		"issuer_ref": long, "cn_validations": long,
	} {
		_, _, err := role.FromParams(vaultapi.NewParams(map[string]any{field: value}))
		mustName(t, field, field, err)
	}
	_, err = role.ParseCSR("-----BEGIN CERTIFICATE REQUEST-----\n" + long)
	mustName(t, "a CSR of a megabyte", "csr", err)
}
