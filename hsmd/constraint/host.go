package constraint

import (
	"net/netip"
	"strings"
)

// dnsName reads a dNSName: letters, digits, hyphens and underscores in ASCII,
// with "*" at most as the whole of the first label. It gives it in lower case.
// What some readers take for an address (RFC 3986, section 3.2.2, and inet_aton)
// is none: a name whose last label is a number.
func dnsName(s string) (string, bool) {
	s = lower(s)
	host := strings.TrimPrefix(s, "*.")
	return s, hostName(host)
}

// hostName reports whether s, in lower case, is the name of a host.
func hostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	last := labels[len(labels)-1]
	return strings.Trim(last, "0123456789") != "" && !strings.HasPrefix(last, "0x")
}

// domain reads an entry of a list: a domain, with a dot before it for what is
// below it only.
func domain(s string) (string, bool) {
	s = lower(s)
	return s, hostName(strings.TrimPrefix(s, "."))
}

// dnsWithin reports whether each host that a name stands for is in the domain.
func dnsWithin(name, entry string) bool {
	if parent, ok := strings.CutPrefix(name, "*."); ok {
		name = "x." + parent // any label: it must be below the domain
	}
	return name == entry || strings.HasSuffix(name, "."+strings.TrimPrefix(entry, "."))
}

// dnsTouches reports whether some host that a name stands for is in the domain.
func dnsTouches(name, entry string) bool {
	entry = strings.TrimPrefix(entry, ".")
	if parent, ok := strings.CutPrefix(name, "*."); ok && (parent == entry || strings.HasSuffix(entry, "."+parent)) {
		return true
	}
	return name == entry || strings.HasSuffix(name, "."+entry)
}

// hostWithin and hostTouches are for hosts in e-mail addresses and URIs, which a
// domain without a dot permits only as it stands (RFC 5280, section 4.2.1.10).
func hostWithin(host, entry string) bool {
	if strings.HasPrefix(entry, ".") {
		return strings.HasSuffix(host, entry)
	}
	return host == entry
}

func hostTouches(host, entry string) bool { return dnsTouches(host, entry) }

// uriHost gives the host of a URI. It is stricter than RFC 3986, because readers
// differ in what is the host of one with a user, a backslash or an escape. A URI
// without a host, or whose host is an address, cannot be judged.
func uriHost(s string) (string, bool) {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '\\' {
			return "", false
		}
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || scheme == "" || strings.Trim(lower(scheme), "abcdefghijklmnopqrstuvwxyz0123456789+-.") != "" {
		return "", false
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	host, port, _ := strings.Cut(rest, ":")
	host = lower(host)
	return host, hostName(host) && strings.Trim(port, "0123456789") == ""
}

// mailbox reads an rfc822Name (RFC 5280, section 4.2.1.6): a dot-atom, "@" and a
// host. Quoted local parts are refused, which few readers read alike.
func mailbox(s string) (string, bool) {
	local, host, ok := strings.Cut(s, "@")
	host = lower(host)
	return local + "@" + host, ok && atom(local) && hostName(host)
}

func atom(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`"(),:;<>@[\]`, s[i]) >= 0 {
			return false
		}
	}
	return s != ""
}

// mailEntry reads an entry of a list: an address, a host, or with a dot before
// it what is below a domain.
func mailEntry(s string) (string, bool) {
	if strings.Contains(s, "@") {
		return mailbox(s)
	}
	return domain(s)
}

func mailWithin(name, entry string) bool {
	if strings.Contains(entry, "@") {
		return name == entry
	}
	_, host, _ := strings.Cut(name, "@")
	return hostWithin(host, entry)
}

// mailTouches takes the local part for the same in upper and lower case, as most
// that deliver do.
func mailTouches(name, entry string) bool {
	if strings.Contains(entry, "@") {
		return lower(name) == lower(entry)
	}
	_, host, _ := strings.Cut(name, "@")
	return hostTouches(host, entry)
}

// address reads an iPAddress. An IPv4 address that is written as IPv6 is a second
// encoding, and refused.
func address(raw string) (string, bool) {
	ip, ok := netip.AddrFromSlice([]byte(raw))
	if !ok || ip.Is4In6() {
		return "", false
	}
	return ip.String(), true
}

func inRange(name, entry string) bool {
	ip, err1 := netip.ParseAddr(name)
	prefix, err2 := netip.ParsePrefix(entry)
	return err1 == nil && err2 == nil && prefix.Contains(ip)
}

// lower is for ASCII alone: other letters have no place in these names.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
