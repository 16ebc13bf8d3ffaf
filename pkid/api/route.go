package api

import (
	"cmp"
	"slices"
	"strings"
)

// route is one path below a mount, or one of sys/ and auth/, and what can be
// done with it. In the pattern a segment that begins with ":" matches any one
// segment, and one that begins with "*", of which there is at most one, matches
// one or more.
type route struct {
	pattern  string // "issue/:role", "sys/mounts/*path/tune"
	help     string // what ?help=1 answers
	stranger bool   // answers without a token, too
	recorded bool   // in the audit log, though strangers may ask
	watched  bool   // answers without a token where the listener says so
	sudo     bool   // needs this capability besides, as in Vault
	waits    bool   // for approval: asked again it comes to the same bytes
	body     int    // 0: parameters; else the octets that count of a body that is none
	ops      map[operation]handlerFunc

	segments []string // of pattern
}

// compile splits the patterns and puts the narrower first, so that
// "certs/revoked" is found before "certs/:serial", and "*path/tune" before
// "*path".
func compile(routes []route) []route {
	for i := range routes {
		routes[i].segments = strings.Split(routes[i].pattern, "/")
	}
	slices.SortStableFunc(routes, func(a, b route) int {
		for i := range min(len(a.segments), len(b.segments)) {
			if c := cmp.Compare(weight(a.segments[i]), weight(b.segments[i])); c != 0 {
				return c
			}
		}
		return cmp.Compare(len(b.segments), len(a.segments))
	})
	return routes
}

// weight orders segments: the narrower first.
func weight(segment string) int {
	switch {
	case strings.HasPrefix(segment, "*"):
		return 2
	case strings.HasPrefix(segment, ":"):
		return 1
	}
	return 0
}

// match gives what the pattern's variables stand for, or false.
func (r *route) match(path []string) (map[string]string, bool) {
	surplus := len(path) - len(r.segments)
	if surplus < 0 {
		return nil, false
	}
	vars := map[string]string{}
	at := 0
	for _, segment := range r.segments {
		switch weight(segment) {
		case 2:
			vars[segment[1:]] = strings.Join(path[at:at+surplus+1], "/")
			at += surplus
			surplus = 0
		case 1:
			vars[segment[1:]] = path[at]
		default:
			if path[at] != segment {
				return nil, false
			}
		}
		at++
	}
	return vars, surplus == 0
}

// folded gives a path of the route in the letters of what it leads to: names of
// roles, keys and policies are of small letters, however they are written, and a
// rule about one must not be passed by in capitals.
func (r *route) folded(path string) string {
	segments := strings.Split(path, "/")
	first := len(segments) - len(r.segments) // the mount's path stands before
	for i, s := range r.segments {
		switch at := &segments[first+i]; s {
		case ":name", ":role":
			*at = strings.ToLower(*at)
		case ":issuer_ref", ":key_ref": // of which "default" alone may be in any letters
			if strings.EqualFold(*at, "default") {
				*at = "default"
			}
		}
	}
	return strings.Join(segments, "/")
}

// find gives the route for a path, nil if there is none.
func find(routes []route, rest string) (*route, map[string]string) {
	path := strings.Split(rest, "/")
	for i := range routes {
		if vars, ok := routes[i].match(path); ok {
			return &routes[i], vars
		}
	}
	return nil, nil
}
