package token

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// Role is what tokens are made by at auth/token/create/<name>: it gives what the
// creator himself could not.
type Role struct {
	Name                   string         `json:"name"`
	AllowedPolicies        []string       `json:"allowed_policies,omitempty"`
	AllowedPoliciesGlob    []string       `json:"allowed_policies_glob,omitempty"`
	DisallowedPolicies     []string       `json:"disallowed_policies,omitempty"`
	DisallowedPoliciesGlob []string       `json:"disallowed_policies_glob,omitempty"`
	NoDefaultPolicy        bool           `json:"token_no_default_policy,omitempty"`
	Orphan                 bool           `json:"orphan,omitempty"`
	NotRenewable           bool           `json:"not_renewable,omitempty"`
	PathSuffix             string         `json:"path_suffix,omitempty"`
	ExplicitMaxTTL         time.Duration  `json:"token_explicit_max_ttl,omitempty"`
	Period                 time.Duration  `json:"token_period,omitempty"`
	NumUses                int            `json:"token_num_uses,omitempty"`
	BoundCIDRs             []netip.Prefix `json:"token_bound_cidrs,omitempty"`
}

// Check refuses what makes no sense, naming it.
func (r *Role) Check() error {
	switch {
	case strings.ContainsFunc(r.PathSuffix, func(c rune) bool { return c <= ' ' || c >= 0x7f }) || strings.HasPrefix(r.PathSuffix, "/"):
		return vaultapi.BadRequest("path_suffix=%q: a part of a path", r.PathSuffix)
	case r.NumUses < 0:
		return vaultapi.BadRequest("token_num_uses cannot be negative")
	case r.Period > 0 && r.ExplicitMaxTTL > 0 && r.Period > r.ExplicitMaxTTL:
		return vaultapi.BadRequest("token_period is longer than token_explicit_max_ttl")
	}
	return nil
}

// rules reports whether the role says itself which policies may be given.
func (r *Role) rules() bool {
	return len(r.AllowedPolicies)+len(r.AllowedPoliciesGlob)+len(r.DisallowedPolicies)+len(r.DisallowedPoliciesGlob) > 0
}

// policies are what a wish gets by the role's own rules, whatever its creator
// has.
func (r *Role) policies(w *Wish, by Creator) ([]string, error) {
	const byDefault = "default"
	addDefault := !w.NoDefaultPolicy && !r.NoDefaultPolicy && !r.disallows(byDefault)
	allowed := r.AllowedPolicies
	if addDefault {
		allowed = SortNames(append([]string{byDefault}, allowed...))
	}
	limited := len(r.AllowedPolicies)+len(r.AllowedPoliciesGlob) > 0
	var out []string
	switch {
	case len(w.Policies) > 0:
		out = SortPolicies(w.Policies, addDefault)
	case limited:
		out = allowed
	default:
		out = SortPolicies(by.Policies, addDefault)
	}
	for _, name := range out {
		if limited && !slices.Contains(allowed, name) && !anyGlob(r.AllowedPoliciesGlob, name) {
			return nil, vaultapi.BadRequest("token policies (%q) must be subset of the role's allowed policies (%q) or glob policies (%q)",
				out, allowed, r.AllowedPoliciesGlob)
		}
		if r.disallows(name) {
			return nil, vaultapi.BadRequest("token policy %q is disallowed by this role", name)
		}
	}
	return out, nil
}

func (r *Role) disallows(name string) bool {
	return slices.Contains(r.DisallowedPolicies, name) || anyGlob(r.DisallowedPoliciesGlob, name)
}

// apply puts the role's word in the place of the wish's, or the narrower of both.
func (r *Role) apply(s *Spec) {
	s.Role = r.Name
	if len(r.BoundCIDRs) > 0 {
		s.BoundCIDRs = r.BoundCIDRs
	}
	s.Path += "/" + r.Name
	if r.PathSuffix != "" {
		s.Path += "/" + r.PathSuffix
	}
	if r.Orphan {
		s.Parent = nil
	}
	s.NotRenewable = s.NotRenewable || r.NotRenewable
	s.ExplicitMaxTTL = narrower(s.ExplicitMaxTTL, r.ExplicitMaxTTL)
	s.NumUses = narrower(s.NumUses, r.NumUses)
	s.Period = narrower(s.Period, r.Period)
}

// narrower is the smaller of two limits, of which 0 is none.
func narrower[T int | time.Duration](a, b T) T {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// anyGlob reports whether a name matches one of the patterns, which may have a
// "*" at either end.
func anyGlob(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		end, before := strings.CutPrefix(p, "*")
		middle, after := strings.CutSuffix(end, "*")
		switch {
		case before && after:
			return strings.Contains(name, middle)
		case before:
			return strings.HasSuffix(name, end)
		case after:
			return strings.HasPrefix(name, middle)
		}
		return p == name
	})
}

// Role gives a role, nil if there is none.
func (s *Store) Role(ctx context.Context, name string) (r *Role, err error) {
	err = s.cfg.Store.View(ctx, func(rd store.Reader) error { r, err = readRole(rd, name); return err })
	return r, err
}

func readRole(r store.Reader, name string) (*Role, error) {
	raw, err := r.Get(store.TokenRole(name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	role := &Role{}
	return role, json.Unmarshal(raw, role)
}

// ChangeRole makes a role or changes it; change is given the one there is, or
// an empty one, and may run twice.
func (s *Store) ChangeRole(ctx context.Context, name string, change func(*Role) error) error {
	return s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		role, err := readRole(tx, name)
		if err != nil {
			return err
		}
		if role == nil {
			role = &Role{Name: name}
		}
		if err := errors.Join(change(role), role.Check()); err != nil {
			return err
		}
		raw, err := json.Marshal(role)
		if err != nil {
			return err
		}
		return tx.Put(store.TokenRole(name), raw)
	})
}

// DeleteRole forgets a role; the tokens that it made go on.
func (s *Store) DeleteRole(ctx context.Context, name string) error {
	return s.cfg.Store.Update(ctx, func(tx store.Tx) error { return tx.Delete(store.TokenRole(name)) })
}

// Roles lists the names of the roles.
func (s *Store) Roles(ctx context.Context) (names []string, err error) {
	start, end := store.TokenRoles()
	err = s.cfg.Store.View(ctx, func(r store.Reader) error {
		return r.Scan(start, end, func(key, _ []byte) error {
			names = append(names, string(key[len(start):]))
			return nil
		})
	})
	return names, err
}
