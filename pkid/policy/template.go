package policy

import (
	"fmt"
	"slices"

	"github.com/hsmpki/hsmpki/pkid/identity"
)

// templated reports whether what a policy says depends on who asks.
func (p *Policy) templated() bool {
	return slices.ContainsFunc(p.rules, func(r rule) bool { return r.template != nil })
}

// For gives a policy as it is for whoever has an alias, nil being somebody who
// has not logged in. As in Vault, a rule is left out if it asks for what is not
// known of him. It is an error if a value would be more than a part of a path:
// since the rule may be one that denies, he is then to be given nothing at all.
func (p *Policy) For(alias *identity.Alias) (*Policy, error) {
	filled := &Policy{Name: p.Name, Text: p.Text}
	for _, r := range p.rules {
		if r.template != nil {
			path, known, err := r.template.Fill(alias)
			if err != nil {
				return nil, err
			}
			if !known {
				continue
			}
			if r.pattern, err = newPattern(path); err != nil {
				return nil, fmt.Errorf("%w: %w", identity.ErrUnfit, err)
			}
			r.template = nil
		}
		filled.rules = append(filled.rules, r)
	}
	return filled, nil
}

// Merge is New of policies as they are for whoever has an alias. Where one cannot
// be filled in the ACL allows nothing, and [ACL.Unfit] says why.
func Merge(alias *identity.Alias, policies ...*Policy) *ACL {
	filled := make([]*Policy, len(policies))
	for i, p := range policies {
		var err error
		if filled[i], err = p.For(alias); err != nil {
			return &ACL{unfit: fmt.Errorf("policy %q: %w", p.Name, err)}
		}
	}
	return New(filled...)
}
