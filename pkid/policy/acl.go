package policy

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// ACL is what several policies say together. It is never changed, and safe for
// concurrent use.
type ACL struct {
	root     bool
	exact    map[string]*rule
	patterns []*rule // the one that wins first
	unfit    error
}

// Request is what an ACL is asked about.
type Request struct {
	Path       string     // below /v1/, without a leading slash
	Operation  Capability // one of Create to Patch, or Recover
	Parameters map[string]any
	Sudo       bool          // the path needs this capability besides
	WrapTTL    time.Duration // of the answer, 0 if it is not to be wrapped
}

// New merges policies, of which those with templates are as [Policy.For] makes
// them: a rule that is not filled in is left out. Rules of one and the same
// pattern become one: it has the capabilities of all, unless one of them denies,
// and the limits of all.
func New(policies ...*Policy) *ACL {
	acl := &ACL{exact: map[string]*rule{}}
	patterns := map[string]*rule{}
	for _, p := range policies {
		acl.root = acl.root || p.Name == Root
		for i := range p.rules {
			from := &p.rules[i]
			if from.template != nil {
				continue
			}
			to := patterns
			if from.pattern.exact() {
				to = acl.exact
			}
			merged := to[from.pattern.text]
			if merged == nil {
				merged = &rule{pattern: from.pattern}
				to[from.pattern.text] = merged
			}
			merged.capabilities |= from.capabilities
			merged.limits.merge(&from.limits)
		}
	}
	for _, r := range patterns {
		acl.patterns = append(acl.patterns, r)
	}
	slices.SortFunc(acl.patterns, func(a, b *rule) int { return a.pattern.compare(&b.pattern) })
	return acl
}

// Unfit is why an ACL allows nothing at all: a policy's template cannot be filled
// in with who asks. It is nil of all others.
func (a *ACL) Unfit() error { return a.unfit }

// Allow reports whether a request may pass.
func (a *ACL) Allow(r Request) bool {
	if a.root {
		return true
	}
	found := a.capable(r)
	if found == nil {
		return false
	}
	l := &found.limits
	switch {
	case l.maxWrapTTL > 0 && (r.WrapTTL == 0 || r.WrapTTL > l.maxWrapTTL):
		return false
	case l.minWrapTTL > 0 && r.WrapTTL < l.minWrapTTL:
		return false
	case r.Operation == List || r.Operation == Delete:
		return true // as in Vault, limits of parameters are not of these
	}
	return l.letThrough(r.Parameters)
}

// Capable reports whether a request may pass, its parameters and wrapping aside:
// who asks it first reads no body for those who cannot pass whatever it says.
func (a *ACL) Capable(r Request) bool { return a.root || a.capable(r) != nil }

func (a *ACL) capable(r Request) *rule {
	found := a.ruleOf(r)
	if found == nil || !found.capabilities.has(r.Operation) || r.Sudo && !found.capabilities.has(Sudo) {
		return nil
	}
	return found
}

// Capabilities lists in order what can be done with a path that is written in
// one or several ways, all of which count: "root" alone for the root policy,
// "deny" alone where nothing can.
func (a *ACL) Capabilities(paths ...string) []string {
	if a.root {
		return []string{Root}
	}
	all := ^Capability(0) &^ Deny
	for _, path := range paths {
		found := a.capabilities(path)
		if found&Deny != 0 {
			found = 0
		}
		all &= found
	}
	return all.names()
}

// Paths lists the capabilities of each exact path and of each pattern, of which a
// prefix stands without its "*", as Vault's UI reads them.
func (a *ACL) Paths() (exact, glob map[string]any) {
	exact, glob = map[string]any{}, map[string]any{}
	for path, r := range a.exact {
		exact[path] = map[string]any{"capabilities": r.capabilities.names()}
	}
	for _, r := range a.patterns {
		glob[r.pattern.stem] = map[string]any{"capabilities": r.capabilities.names()}
	}
	return exact, glob
}

// Reaches reports whether anything may be done with any path below a folder,
// which ends in a slash: who may nothing there need not know of it.
func (a *ACL) Reaches(folder string) bool {
	if a.root {
		return true
	}
	for path, r := range a.exact {
		if r.capabilities.some() && strings.HasPrefix(path, folder) {
			return true
		}
	}
	return slices.ContainsFunc(a.patterns, func(r *rule) bool { return r.capabilities.some() && r.pattern.reaches(folder) })
}

func (a *ACL) capabilities(path string) Capability {
	path = strings.TrimLeft(path, "/")
	bare := strings.TrimSuffix(path, "/")
	found := cmp.Or(a.exact[path], a.exact[bare], a.match(path), a.match(bare))
	if found == nil {
		return 0
	}
	return found.capabilities
}

// ruleOf gives the one rule that counts for a request, nil if there is none: an
// exact one, else the first pattern that matches. What is listed is a folder,
// whose rule may be written with a slash at its end or without; of patterns the
// one that matches without wins, as in Vault.
func (a *ACL) ruleOf(r Request) *rule {
	if r.Operation != List {
		return cmp.Or(a.exact[r.Path], a.match(r.Path))
	}
	bare := strings.TrimSuffix(r.Path, "/")
	folder := bare + "/"
	return cmp.Or(a.exact[folder], a.exact[bare], a.match(bare), a.match(folder))
}

// match gives the pattern that wins for a path.
func (a *ACL) match(path string) *rule {
	for _, r := range a.patterns {
		if r.pattern.match(path) {
			return r
		}
	}
	return nil
}

// shorter is the shorter of two durations of which 0 means none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
