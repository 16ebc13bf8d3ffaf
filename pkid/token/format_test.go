package token_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/token"
)

// TestFormat holds what is stored, which tokens in use depend on.
func TestFormat(t *testing.T) {
	s, _, state := fresh(t)
	full := create(t, s, token.Spec{Policies: []string{"a"}, DisplayName: "token-x", Meta: map[string]string{"k": "v"}, Path: "auth/token/create/r", Role: "r",
		BoundCIDRs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, TTL: time.Hour, MaxTTL: 3 * time.Hour, ExplicitMaxTTL: 2 * time.Hour, Period: time.Minute, NumUses: 3})
	root := create(t, s, token.Spec{Policies: []string{"root"}})
	must(t, s.ChangeRole(t.Context(), "r", func(r *token.Role) error {
		*r = token.Role{Name: "r", AllowedPolicies: []string{"a"}, AllowedPoliciesGlob: []string{"b*"}, DisallowedPolicies: []string{"c"}, DisallowedPoliciesGlob: []string{"d*"},
			NoDefaultPolicy: true, Orphan: true, NotRenewable: true, PathSuffix: "s", ExplicitMaxTTL: time.Hour, Period: time.Minute, NumUses: 2,
			BoundCIDRs: []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")}}
		return nil
	}))
	want := map[string]string{
		`{"accessor":"` + full.Accessor + `","policies":["a","default"],"display_name":"token-x","meta":{"k":"v"},"path":"auth/token/create/r","role":"r","bound_cidrs":["192.0.2.0/24"],` +
			`"created":"2026-11-25T12:00:00Z","expires":"2026-11-25T12:01:00Z","ttl":60000000000,"max_ttl":10800000000000,"explicit_max_ttl":7200000000000,"period":60000000000,` +
			`"renewable":true,"num_uses":3}`: "token/id/",
		`{"accessor":"` + root.Accessor + `","policies":["root"],"display_name":"","path":"auth/token/create","created":"2026-11-25T12:00:00Z","ttl":0,"renewable":false}`: "token/id/",
		`{"name":"r","allowed_policies":["a"],"allowed_policies_glob":["b*"],"disallowed_policies":["c"],"disallowed_policies_glob":["d*"],"token_no_default_policy":true,` +
			`"orphan":true,"not_renewable":true,"path_suffix":"s","token_explicit_max_ttl":3600000000000,"token_period":60000000000,"token_num_uses":2,` +
			`"token_bound_cidrs":["2001:db8::/32"]}`: "token/role/r",
	}
	must(t, state.View(t.Context(), func(r store.Reader) error {
		return r.Scan([]byte("token/"), []byte("token0"), func(key, value []byte) error {
			if !json.Valid(value) || value[0] != '{' {
				return nil
			}
			if prefix, is := want[string(value)]; !is || !strings.HasPrefix(string(key), prefix) {
				t.Errorf("under %q stands %s", key, value)
			}
			delete(want, string(value))
			return nil
		})
	}))
	if len(want) > 0 {
		t.Errorf("not stored: %v", want)
	}
}
