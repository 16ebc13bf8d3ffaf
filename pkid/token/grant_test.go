package token_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/token"
)

// TestWish is the table of who gets which token: refused says with which words,
// policies which the new token has. "sudo" among the creator's policies stands for
// sudo on the path.
func TestWish(t *testing.T) {
	words := strings.Fields
	role := func(change func(*token.Role)) *token.Role {
		r := &token.Role{Name: "r"}
		change(r)
		return r
	}
	onlyA := role(func(r *token.Role) { r.AllowedPolicies = words("a") })
	glob := role(func(r *token.Role) { r.AllowedPoliciesGlob = words("dev-*") })
	notB := role(func(r *token.Role) { r.DisallowedPolicies = words("b") })
	notDefault := role(func(r *token.Role) { r.DisallowedPoliciesGlob = words("def*") })
	plain := role(func(*token.Role) {})
	for name, c := range map[string]struct {
		by       string
		wish     token.Wish
		role     *token.Role
		policies string
		refused  string
	}{
		"nothing asked for: the parent's":      {by: "a b", policies: "a b"},
		"the parent's, with default":           {by: "a default", policies: "a default"},
		"root's":                               {by: "root", policies: "root"},
		"a subset":                             {by: "a b", wish: token.Wish{Policies: words("b")}, policies: "b"},
		"a subset, and default if it is there": {by: "a b default", wish: token.Wish{Policies: words("b")}, policies: "b default"},
		"no default":                           {by: "a b default", wish: token.Wish{Policies: words("b"), NoDefaultPolicy: true}, policies: "b"},
		"in capitals":                          {by: "a b", wish: token.Wish{Policies: words("B")}, policies: "b"},
		"more than the parent has":             {by: "a", wish: token.Wish{Policies: words("a c")}, refused: "child policies must be subset of parent"},
		"default without having it":            {by: "a", wish: token.Wish{Policies: words("default")}, refused: "child policies must be subset of parent"},
		"more, with sudo":                      {by: "sudo a", wish: token.Wish{Policies: words("c")}, policies: "c default"},
		"more, as root":                        {by: "root sudo", wish: token.Wish{Policies: words("c")}, policies: "c default"},
		"root without it":                      {by: "a", wish: token.Wish{Policies: words("root")}, refused: "child policies must be subset of parent"},
		"root with sudo":                       {by: "sudo a", wish: token.Wish{Policies: words("root")}, refused: "root tokens may not be created"},
		"root in capitals, with sudo":          {by: "sudo a", wish: token.Wish{Policies: []string{" ROOT "}}, refused: "root tokens may not be created"},
		"two names in one":                     {by: "sudo a", wish: token.Wish{Policies: []string{"a\nroot"}}, refused: "no name of a policy"},
		"an id":                                {by: "a", wish: token.Wish{ID: "mine"}, refused: "root or sudo privileges required to specify token id"},
		"an id with sudo":                      {by: "sudo a", wish: token.Wish{ID: "mine"}, policies: "a"},
		"an id that no header carries":         {by: "sudo a", wish: token.Wish{ID: "a\nb"}, refused: "visible ASCII"},
		"an orphan":                            {by: "a", wish: token.Wish{NoParent: true}, refused: "root or sudo privileges required to create orphan token"},
		"an orphan with sudo":                  {by: "sudo a", wish: token.Wish{NoParent: true}, policies: "a"},
		"a period":                             {by: "a", wish: token.Wish{Period: time.Hour}, refused: "root or sudo privileges required to create periodic token"},
		"a period with sudo":                   {by: "sudo a", wish: token.Wish{Period: time.Hour}, policies: "a"},
		"fewer than no uses":                   {by: "sudo a", wish: token.Wish{NumUses: -1}, refused: "number of uses cannot be negative"},

		"a role without rules":               {by: "a", role: plain, wish: token.Wish{Policies: words("b")}, refused: "child policies must be subset of parent"},
		"a role's policies":                  {by: "x", role: onlyA, policies: "a default"},
		"a role's policies, no default":      {by: "x", role: onlyA, wish: token.Wish{NoDefaultPolicy: true}, policies: "a"},
		"none of a role's":                   {by: "b", role: onlyA, wish: token.Wish{Policies: words("b")}, refused: "must be subset of the role's allowed policies"},
		"by a pattern":                       {by: "x", role: glob, wish: token.Wish{Policies: words("dev-1"), NoDefaultPolicy: true}, policies: "dev-1"},
		"not by a pattern":                   {by: "x", role: glob, wish: token.Wish{Policies: words("prod")}, refused: "must be subset of"},
		"disallowed":                         {by: "x", role: notB, wish: token.Wish{Policies: words("b c")}, refused: `token policy "b" is disallowed by this role`},
		"disallowed, though the parent's":    {by: "b", role: notB, refused: `token policy "b" is disallowed by this role`},
		"all but the disallowed":             {by: "x", role: notB, wish: token.Wish{Policies: words("c")}, policies: "c default"},
		"default disallowed by pattern":      {by: "x", role: notDefault, wish: token.Wish{Policies: words("c")}, policies: "c"},
		"root by a role":                     {by: "sudo x", role: notB, wish: token.Wish{Policies: words("root")}, refused: "root tokens may not be created"},
		"an orphan by a role that is not":    {by: "x", role: onlyA, wish: token.Wish{NoParent: true}, policies: "a default"},
		"a period by a role, without sudo":   {by: "x", role: onlyA, wish: token.Wish{Period: time.Hour}, refused: "to create periodic token"},
		"root by a role that allows only it": {by: "x", role: role(func(r *token.Role) { r.AllowedPolicies = words("root") }), refused: "root tokens may not be created"},
	} {
		by := token.Creator{Token: &token.Token{}}
		for _, p := range words(c.by) {
			if p == "sudo" || p == "root" {
				by.Sudo = true
			}
			if p != "sudo" {
				by.Policies = append(by.Policies, p)
			}
		}
		spec, err := c.wish.Spec(by, c.role)
		switch {
		case c.refused != "":
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v and not %q", name, err, c.refused)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case !slices.Equal(token.SortPolicies(spec.Policies, !spec.NoDefaultPolicy), words(c.policies)):
			t.Errorf("%s: policies %q", name, spec.Policies)
		case (spec.Parent == nil) != (c.wish.NoParent && c.role == nil):
			t.Errorf("%s: parent %v", name, spec.Parent)
		}
	}
}

// TestWishOfTokens: what a creator's own token has bears on what he makes.
func TestWishOfTokens(t *testing.T) {
	limited := token.Creator{Token: &token.Token{NumUses: 3}, Policies: []string{"root"}, Sudo: true}
	last := token.Creator{Token: &token.Token{NumUses: -1}, Policies: []string{"root"}, Sudo: true}
	for _, by := range []token.Creator{limited, last} {
		if _, err := (&token.Wish{NoParent: true}).Spec(by, nil); err == nil || !strings.Contains(err.Error(), "restricted use token") {
			t.Errorf("a token of limited uses makes others: %v", err)
		}
	}
	ending := token.Creator{Token: &token.Token{Expires: time.Now()}, Policies: []string{"root"}, Sudo: true}
	if _, err := (&token.Wish{}).Spec(ending, nil); err == nil || !strings.Contains(err.Error(), "expiring root tokens") {
		t.Errorf("a root token that ends makes one that does not: %v", err)
	}
	if _, err := (&token.Wish{TTL: time.Hour}).Spec(ending, nil); err != nil {
		t.Errorf("and one that ends: %v", err)
	}
	bound := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	spec, err := (&token.Wish{}).Spec(token.Creator{Token: &token.Token{BoundCIDRs: bound}, Policies: []string{"a"}}, nil)
	if err != nil || !slices.Equal(spec.BoundCIDRs, bound) {
		t.Errorf("bound to %v, %v", spec.BoundCIDRs, err)
	}
	role := &token.Role{Name: "r", Orphan: true, NotRenewable: true, PathSuffix: "s", ExplicitMaxTTL: time.Hour, Period: 2 * time.Minute, NumUses: 5}
	spec, err = (&token.Wish{ExplicitMaxTTL: 2 * time.Hour, NumUses: 3, Renewable: true}).Spec(token.Creator{Token: &token.Token{}, Policies: []string{"a"}}, role)
	if err != nil || spec.Parent != nil || !spec.NotRenewable || spec.Path != "auth/token/create/r/s" || spec.ExplicitMaxTTL != time.Hour ||
		spec.Period != 2*time.Minute || spec.NumUses != 3 || spec.Role != "r" {
		t.Errorf("by a role: %+v, %v", spec, err)
	}
}
