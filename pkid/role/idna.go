package role

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

var (
	// hostIDNA holds a host name of ASCII to the DNS's lengths, without mapping
	// case or anything else.
	hostIDNA = idna.New(idna.StrictDomainName(true), idna.VerifyDNSLength(true))
	// labelIDNA converts one U-label as browsers do: to lower case and its
	// composed form first (UTS 46, not transitional), so that however it was
	// typed there is one A-label for it.
	labelIDNA = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.Transitional(false))
	// otherDots are the full stops that UTS 46 takes for dots.
	otherDots = strings.NewReplacer("\u3002", ".", "\uff0e", ".", "\uff61", ".")
)

// asciiHost converts a host name, perhaps with a wildcard label, to A-labels
// (RFC 5890). Labels of ASCII stay as they are, so that their case does; those
// that claim to be A-labels must be. The error is for the caller to read.
func asciiHost(name string) (string, error) {
	if !isASCII(name) {
		name = otherDots.Replace(name)
	}
	labels := strings.Split(name, ".")
	for i, label := range labels {
		ascii := isASCII(label)
		if ascii && !hasACEPrefix(label) {
			continue
		}
		converted, err := labelIDNA.ToASCII(label)
		if err != nil {
			return "", err
		}
		if !ascii {
			labels[i] = converted
		}
	}
	return hostIDNA.ToASCII(strings.Join(labels, "."))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// hasACEPrefix reports whether a label claims to be an A-label.
func hasACEPrefix(label string) bool { return len(label) >= 4 && strings.EqualFold(label[:4], "xn--") }

// asciiName is a host name or e-mail address with its host in A-labels, or the
// name itself where it has none: what a name is compared as.
func asciiName(name string) string {
	if isASCII(name) {
		return name
	}
	local, host, at := strings.Cut(name, "@")
	if !at {
		local, host = "", name
	}
	converted, err := asciiHost(host)
	if err != nil {
		return name
	}
	if at {
		return local + "@" + converted
	}
	return converted
}
