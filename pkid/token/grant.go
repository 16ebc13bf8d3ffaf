package token

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// Wish is what auth/token/create is asked for.
type Wish struct {
	ID              string
	Policies        []string
	NoDefaultPolicy bool
	NoParent        bool
	DisplayName     string
	Meta            map[string]string
	TTL             time.Duration
	ExplicitMaxTTL  time.Duration
	Period          time.Duration
	NumUses         int
	Renewable       bool
}

// Creator is who asks.
type Creator struct {
	Token    *Token // nil: a peer
	Policies []string
	Sudo     bool // may he do more than others at the path
}

func (by *Creator) root() bool { return slices.Contains(by.Policies, rootPolicy) }

// Spec decides what a creator gets of his wish, under a role if it is not nil.
// It is Vault's rules in Vault's words: a refusal is a 400.
func (w *Wish) Spec(by Creator, role *Role) (Spec, error) {
	s := Spec{
		ID: w.ID, NoDefaultPolicy: true, Meta: w.Meta, Path: "auth/token/create", Parent: by.Token, DisplayName: displayName(w.DisplayName),
		TTL: w.TTL, ExplicitMaxTTL: w.ExplicitMaxTTL, Period: w.Period, NumUses: w.NumUses, NotRenewable: !w.Renewable,
	}
	switch {
	case by.Token != nil && by.Token.NumUses != 0:
		return s, vaultapi.BadRequest("restricted use token cannot generate child tokens")
	case w.NumUses < 0:
		return s, vaultapi.BadRequest("number of uses cannot be negative")
	case w.ID != "" && !by.Sudo:
		return s, vaultapi.BadRequest("root or sudo privileges required to specify token id")
	case strings.ContainsFunc(w.ID, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return s, vaultapi.BadRequest("id: a token is of visible ASCII characters, as it stands in a header")
	case w.Period > 0 && !by.Sudo:
		return s, vaultapi.BadRequest("root or sudo privileges required to create periodic token")
	case w.NoParent && role == nil && !by.Sudo:
		return s, vaultapi.BadRequest("root or sudo privileges required to create orphan token")
	}
	if w.NoParent && role == nil {
		s.Parent = nil
	}
	if by.Token != nil {
		s.BoundCIDRs = by.Token.BoundCIDRs // or a copy of a token would be as good elsewhere
	}
	var err error
	if s.Policies, err = w.policies(by, role); err != nil {
		return s, err
	}
	if role != nil {
		role.apply(&s)
	}
	for _, name := range s.Policies {
		if strings.ContainsFunc(name, unicode.IsControl) {
			return s, vaultapi.BadRequest("policies: %q is no name of a policy", name)
		}
	}
	if slices.Contains(s.Policies, rootPolicy) {
		// Sudo on the path is not enough to become root.
		if !by.root() {
			return s, vaultapi.BadRequest("root tokens may not be created without parent token being root")
		}
		if s.TTL == 0 && s.Period == 0 && s.ExplicitMaxTTL == 0 && by.Token != nil && !by.Token.Expires.IsZero() {
			return s, vaultapi.BadRequest("expiring root tokens cannot create non-expiring root tokens")
		}
	}
	return s, nil
}

// policies are those that the new token gets, all of them.
func (w *Wish) policies(by Creator, role *Role) ([]string, error) {
	switch {
	case role != nil && role.rules():
		return role.policies(w, by)
	case len(w.Policies) == 0:
		return SortPolicies(by.Policies, false), nil // default is among them or not, as with the parent
	case by.Sudo || by.root():
		return SortPolicies(w.Policies, !w.NoDefaultPolicy), nil
	}
	parents := SortPolicies(by.Policies, false)
	for _, name := range SortPolicies(w.Policies, false) {
		if !slices.Contains(parents, name) {
			return nil, vaultapi.BadRequest("child policies must be subset of parent")
		}
	}
	return SortPolicies(w.Policies, !w.NoDefaultPolicy && slices.Contains(parents, "default")), nil
}

var notInDisplayName = regexp.MustCompile(`[^a-zA-Z0-9-]`)

// displayName is a token's, which begins so that it is never a peer's or a
// login's.
func displayName(wish string) string {
	name := strings.TrimSuffix(notInDisplayName.ReplaceAllString(wish, "-"), "-")
	if name == "" {
		return "token"
	}
	return "token-" + name
}
