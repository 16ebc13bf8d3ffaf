package nameconstraints

import (
	"net/netip"
	"net/url"
	"strings"
)

// unmatchable says why a name cannot be held against any constraint, "" if it
// can.
func (n *Name) unmatchable() string {
	switch n.form {
	case dns:
		if name := string(n.value); strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, "..") || name == "" {
			return "it has an empty label"
		}
	case email:
		if n.misencoded {
			return "it is not written as an IA5String"
		}
		if local, host := splitAddress(string(n.value)); local == "" || host == "" {
			return "it is no address"
		}
	case uri:
		switch host, ok := hostOf(string(n.value)); {
		case !ok:
			return "it does not say plainly what its host is"
		case host == "":
			return "it has no host"
		case isAddress(host):
			return "its host is an IP address"
		}
	case ip:
		if len(n.value) != 4 && len(n.value) != 16 {
			return "it has neither four nor sixteen octets"
		}
	}
	return ""
}

// permits and excludes differ where relying parties do: see the package
// comment. Both are only asked about names that the subtree concerns.
func (s *subtree) permits(n *Name) bool {
	base, name := string(s.base.value), string(n.value)
	switch n.form {
	case dns:
		return base == "" || within(name, base)
	case email:
		return addressMatches(name, base)
	case uri:
		host, _ := hostOf(name)
		return hostMatches(host, base)
	}
	return s.contains(n)
}

func (s *subtree) excludes(n *Name) bool {
	base, name := string(s.base.value), string(n.value)
	switch n.form {
	case dns:
		return base == "" || within(name, base) || standsFor(name, base)
	case email:
		_, host := splitAddress(name)
		return base == "" || addressMatches(name, base) || !strings.Contains(base, "@") && within(host, base)
	case uri:
		host, _ := hostOf(name)
		return base == "" || within(host, base)
	}
	return s.contains(n)
}

// contains is for the forms that all read alike.
func (s *subtree) contains(n *Name) bool {
	if n.form == directory {
		return len(s.base.rdns) <= len(n.rdns) && equal(s.base.rdns, n.rdns[:len(s.base.rdns)])
	}
	size := len(n.value) // an IP address; the base has address and mask
	if len(s.base.value) != 2*size {
		return false
	}
	for i, mask := range s.base.value[size:] {
		if n.value[i]&mask != s.base.value[i]&mask {
			return false
		}
	}
	return true
}

func equal(a, b []string) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// within reports whether name is base or below it; with a leading dot base is
// what is below only.
func within(name, base string) bool {
	if !strings.HasPrefix(base, ".") {
		if strings.EqualFold(name, base) {
			return true
		}
		base = "." + base
	}
	return len(name) > len(base) && strings.EqualFold(name[len(name)-len(base):], base)
}

// standsFor reports whether a name with a wildcard in its first label could be
// the host base.
func standsFor(name, base string) bool {
	pattern, parent, ok := strings.Cut(name, ".")
	before, after, star := strings.Cut(strings.ToLower(pattern), "*")
	label, rest, _ := strings.Cut(strings.ToLower(base), ".")
	return ok && star && strings.EqualFold(parent, rest) &&
		len(label) >= len(before)+len(after) && strings.HasPrefix(label, before) && strings.HasSuffix(label, after)
}

// hostMatches reads a constraint as RFC 5280 does for e-mail addresses and
// URIs: one host, or with a leading dot all that are below.
func hostMatches(host, base string) bool {
	if strings.HasPrefix(base, ".") {
		return within(host, base)
	}
	return strings.EqualFold(host, base)
}

// addressMatches reads an e-mail constraint: a mailbox, whose local part counts
// with its case, or what hostMatches takes.
func addressMatches(address, base string) bool {
	local, host := splitAddress(address)
	if i := strings.LastIndexByte(base, '@'); i >= 0 {
		return (i == 0 || base[:i] == local) && strings.EqualFold(base[i+1:], host)
	}
	return hostMatches(host, base)
}

func splitAddress(address string) (local, host string) {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return "", ""
	}
	return address[:i], address[i+1:]
}

// hostOf is the host of a URI; false if readers may differ about it: where it
// does not parse, has user information, or goes from the host to the query.
func hostOf(text string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil || u.User != nil {
		return "", false
	}
	_, rest, _ := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?#")
	plain := end < 0 || rest[end] == '/'
	return u.Hostname(), u.Host == "" || plain
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
