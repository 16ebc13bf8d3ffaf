package role

import (
	"strings"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// The kinds of common name that cn_validations lists; disabled stands alone
// and lets every common name pass.
const (
	cnEmail    = "email"
	cnHostname = "hostname"
	cnDisabled = "disabled"
)

// permitsCommonName reports whether the role lets a certificate have this
// common name.
func (r *Role) permitsCommonName(name string) bool {
	if len(r.CNValidations) == 1 && r.CNValidations[0] == cnDisabled {
		return true
	}
	if !r.permitsName(name) {
		return false
	}
	kind := cnHostname
	if strings.Contains(name, "@") {
		kind = cnEmail
	}
	for _, v := range r.CNValidations {
		if v == kind {
			return true
		}
	}
	return false
}

// permitsName reports whether the role lets a certificate have this host name
// or e-mail address. The order of the rules is that of vault-api 4.5; the cases
// in testdata/names.txt are its specification.
func (r *Role) permitsName(name string) bool {
	n, ok := splitName(asciiName(name))
	if !ok {
		return false
	}
	if n.wildcard && (!r.AllowWildcardCertificates || n.email) {
		return false
	}
	if r.EnforceHostnames && !n.wellFormed() {
		return false
	}
	return r.AllowAnyName || r.permitsLocalhost(n) || r.permitsDomain(n)
}

// nameParts is what the rules look at in a name.
type nameParts struct {
	whole string
	// email: whole has one "@", and host is what follows it.
	email bool
	host  string
	// wildcard: host has one "*", in its left-most label. reduced is what
	// follows that label, else the host itself.
	wildcard bool
	label    string
	reduced  string
}

// splitName takes a name apart; false if no rule could ever allow it.
func splitName(name string) (nameParts, bool) {
	n := nameParts{whole: name, host: name}
	if local, host, ok := strings.Cut(name, "@"); ok {
		if local == "" || host == "" || strings.Contains(host, "@") || strings.ContainsFunc(local, unprintable) {
			return n, false
		}
		n.email, n.host = true, host
	}
	n.reduced = n.host
	switch strings.Count(n.host, "*") {
	case 0:
		return n, true
	case 1:
		n.wildcard = true
		n.label, n.reduced, _ = strings.Cut(n.host, ".")
		return n, strings.Contains(n.label, "*")
	}
	return n, false
}

// unprintable reports whether c has no place in an address: spaces and controls.
func unprintable(c rune) bool { return c <= ' ' || c == 0x7f }

// wellFormed reports whether the host has the syntax of a host name, with a
// wildcard label of the forms *, *x, x* and x*y.
func (n *nameParts) wellFormed() bool {
	if n.reduced != "" {
		ascii, err := asciiHost(n.reduced)
		if err != nil || !isHostname(ascii) {
			return false
		}
	}
	if !n.wildcard {
		return true
	}
	before, after, _ := strings.Cut(n.label, "*")
	return (before == "" || isLabel(before)) && (after == "" || isLabel(after))
}

// permitsLocalhost is the rule of allow_localhost.
func (r *Role) permitsLocalhost(n nameParts) bool {
	if !r.AllowLocalhost {
		return false
	}
	for _, local := range []string{"localhost", "localdomain"} {
		if n.reduced == local {
			return true
		}
		if r.AllowSubdomains && strings.HasSuffix(n.reduced, "."+local) {
			return true
		}
	}
	return false
}

// permitsDomain is the rule of allowed_domains.
func (r *Role) permitsDomain(n nameParts) bool {
	for _, domain := range r.AllowedDomains {
		if domain == "" || r.AllowedDomainsTemplate && isTemplate(domain) {
			continue
		}
		domain = asciiName(domain)
		switch {
		case r.AllowBareDomains && (strings.EqualFold(n.whole, domain) || n.email && strings.EqualFold(n.host, domain)):
			return true
		case r.AllowSubdomains && strings.HasSuffix(n.reduced, "."+domain):
			return true
		case r.AllowSubdomains && n.wildcard && strings.EqualFold(n.reduced, domain):
			return true
		case r.AllowGlobDomains && strings.Contains(domain, "*") && vaultapi.GlobMatch(strings.ToLower(domain), strings.ToLower(n.whole)):
			return true
		}
	}
	return false
}

// isHostname reports whether s is a host name of letters, digits and inner
// hyphens, perhaps with "*." before it and a dot at its end.
func isHostname(s string) bool {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "*."), ".")
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

func isLabel(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-' && i > 0 && i < len(s)-1:
		default:
			return false
		}
	}
	return s != ""
}
