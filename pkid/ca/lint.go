package ca

import (
	"context"
	"slices"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/lint"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// lint looks at a certificate before its issuer's key is asked, under a role's
// settings over the mount's, or under the mount's alone (nil). What it finds
// are warnings of the answer; where lints are enforced, it is refused.
func (v *view) lint(p *issuance.Prepared, r *role.Role) (warnings []string, err error) {
	s := v.settings.Lint
	if r != nil {
		s = r.LintSettings().Over(s)
	}
	return verdict(&s, s.Certificate(p.Unsigned(), p.SelfSigned()))
}

// LintCRL is lint for a CRL, as a TBSCertList and a dummy of the length of its
// signature, under the mount's settings. As CRLs are also made when nobody
// waits for an answer, what it finds is logged too.
func (a *Authority) LintCRL(issuerID string, tbs, dummy []byte) (warnings []string, err error) {
	s := a.view.Load().settings.Lint
	warnings, err = verdict(&s, s.RevocationList(tbs, dummy))
	for _, w := range warnings {
		a.cfg.Log.Warn("a CRL is signed against which a lint speaks", "issuer", issuerID, "finding", w)
	}
	return warnings, err
}

func verdict(s *lint.Settings, found []lint.Finding) ([]string, error) {
	warnings, err := s.Verdict(found)
	if err != nil {
		return nil, refuse("%v", err)
	}
	return warnings, nil
}

// Lint gives the mount's config/lint.
func (a *Authority) Lint() lint.Settings {
	s := a.view.Load().settings.Lint
	if s.Mode == "" {
		s.Mode = lint.Warn
	}
	s.Waive, s.Sources = append([]string{}, s.Waive...), append([]string{}, s.Sources...)
	return s
}

// LintChange changes those that are not nil.
type LintChange struct {
	Mode           *string
	Waive, Sources *[]string
}

// SetLint changes what certificates and CRLs are held to from now on.
func (a *Authority) SetLint(ctx context.Context, c LintChange) error {
	return a.change(ctx, func(v *view, tx store.Tx) error {
		s := &v.settings.Lint
		if c.Mode != nil {
			if err := lint.CheckMode(*c.Mode); err != nil {
				return refuse("mode: %v", err)
			}
			s.Mode = *c.Mode
		}
		if c.Waive != nil {
			if err := lint.CheckWaive(*c.Waive); err != nil {
				return refuse("waive: %v", err)
			}
			s.Waive = slices.Clone(*c.Waive)
		}
		if c.Sources != nil {
			checked, err := lint.CheckSources(*c.Sources)
			if err != nil {
				return refuse("sources: %v", err)
			}
			s.Sources = checked
		}
		return v.putSettings(tx, a.space)
	})
}
