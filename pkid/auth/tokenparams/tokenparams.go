// Package tokenparams is the token_ fields that a role of any login method has:
// what token a login gives. The methods embed [Params] in their roles.
package tokenparams

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/token"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// Params are these fields, in the form in which they are stored.
type Params struct {
	Policies        []string       `json:"token_policies,omitempty"`
	NoDefaultPolicy bool           `json:"token_no_default_policy,omitempty"`
	TTL             time.Duration  `json:"token_ttl,omitempty"`
	MaxTTL          time.Duration  `json:"token_max_ttl,omitempty"`
	ExplicitMaxTTL  time.Duration  `json:"token_explicit_max_ttl,omitempty"`
	Period          time.Duration  `json:"token_period,omitempty"`
	NumUses         int            `json:"token_num_uses,omitempty"`
	BoundCIDRs      []netip.Prefix `json:"token_bound_cidrs,omitempty"`
}

// Apply overwrites the fields that are given, and leaves the others. The names
// that Vault used before its 1.2 are taken where the newer is not given.
func (t *Params) Apply(in *vaultapi.Params) error {
	if name, given := given(in, "token_policies", "policies"); given {
		t.Policies = token.SortPolicies(in.StringList(name), false)
	}
	for _, span := range []struct {
		name, old string
		field     *time.Duration
	}{
		{"token_ttl", "ttl", &t.TTL},
		{"token_max_ttl", "max_ttl", &t.MaxTTL},
		{"token_explicit_max_ttl", "", &t.ExplicitMaxTTL},
		{"token_period", "period", &t.Period},
	} {
		if name, given := given(in, span.name, span.old); given {
			*span.field = in.Duration(name, 0).Truncate(time.Second)
		}
	}
	if name, given := given(in, "token_num_uses", "num_uses"); given {
		t.NumUses = in.Int(name, 0)
	}
	if name, given := given(in, "token_bound_cidrs", "bound_cidrs"); given {
		t.BoundCIDRs = in.Networks(name)
	}
	t.NoDefaultPolicy = in.Bool("token_no_default_policy", t.NoDefaultPolicy)
	kind := in.String("token_type")
	if err := in.Err(); err != nil {
		return err
	}
	return t.check(kind)
}

func given(in *vaultapi.Params, name, old string) (string, bool) {
	switch {
	case in.Present(name):
		return name, true
	case old != "" && in.Present(old):
		return old, true
	}
	return "", false
}

func (t *Params) check(kind string) error {
	switch {
	case slices.Contains(t.Policies, "root"):
		return vaultapi.BadRequest("token_policies: auth methods cannot create root tokens")
	case t.TTL > 0 && t.MaxTTL > 0 && t.TTL > t.MaxTTL:
		return vaultapi.BadRequest("'token_ttl' cannot be greater than 'token_max_ttl'")
	case t.NumUses < 0:
		return vaultapi.BadRequest("'token_num_uses' cannot be negative")
	case kind == "batch" || kind == "default-batch":
		return vaultapi.BadRequest("token_type=%q: there are no batch tokens here", kind)
	case !slices.Contains([]string{"", "default", "service", "default-service"}, kind):
		return vaultapi.BadRequest("invalid value for 'token_type'")
	}
	return nil
}

// From reports whether a login may come from an address, the zero one being
// that of a Unix socket.
func (t *Params) From(addr netip.Addr) bool {
	return (&token.Token{BoundCIDRs: t.BoundCIDRs}).From(addr)
}

// Spec is the token that a login gives, but for what the method knows of it.
func (t *Params) Spec() token.Spec {
	return token.Spec{
		Policies: t.Policies, NoDefaultPolicy: t.NoDefaultPolicy, BoundCIDRs: t.BoundCIDRs,
		TTL: t.TTL, MaxTTL: t.MaxTTL, ExplicitMaxTTL: t.ExplicitMaxTTL, Period: t.Period, NumUses: t.NumUses,
	}
}

// Show adds the fields to a role's answer: times in seconds, and no null.
func (t *Params) Show(data map[string]any) {
	cidrs := make([]string, len(t.BoundCIDRs))
	for i, prefix := range t.BoundCIDRs {
		cidrs[i] = strings.TrimSuffix(prefix.String(), "/32")
	}
	data["token_policies"] = append([]string{}, t.Policies...)
	data["token_no_default_policy"] = t.NoDefaultPolicy
	data["token_ttl"] = int64(t.TTL / time.Second)
	data["token_max_ttl"] = int64(t.MaxTTL / time.Second)
	data["token_explicit_max_ttl"] = int64(t.ExplicitMaxTTL / time.Second)
	data["token_period"] = int64(t.Period / time.Second)
	data["token_num_uses"] = t.NumUses
	data["token_bound_cidrs"] = cidrs
	data["token_type"] = "default"
}
