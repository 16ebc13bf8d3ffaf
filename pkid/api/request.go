package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/mounts"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// operation is what a request wants, in Vault's words.
type operation string

// The operations. POST and PUT are both update.
const (
	read   operation = "read"
	list   operation = "list"
	update operation = "update"
	patch  operation = "patch"
	delete operation = "delete"
)

// request is one request after everything that is alike for all paths: path
// checked, mount found, caller known, parameters parsed.
type request struct {
	ctx    context.Context
	id     string // request id, a UUID
	op     operation
	path   string // below /v1/, cleaned: "pki/issue/web"
	rest   string // below the mount: "issue/web"
	mount  *mounts.Mount
	vars   map[string]string // what stood for :role, :ref, … in the pattern
	params *vaultapi.Params
	header http.Header
	who    identity
}

// answer is what a handler answers. The zero answer, like a nil one, is 204.
type answer struct {
	data     map[string]any
	warnings []string
	status   int // 0: 200, or 204 when there is nothing to say

	// raw answers these octets of contentType instead of JSON.
	raw         []byte
	contentType string

	// bare is written as JSON without the envelope.
	bare any

	// topLevel has the fields of data beside the envelope's too, as Vault does
	// for older clients (vault-api.md 2.1).
	topLevel bool

	// header is added to the answer's.
	header http.Header
}

// handlerFunc answers one operation on one path. A nil answer is 204.
type handlerFunc func(h *Handler, r *request) (*answer, error)

// route is one path below a mount and what can be done with it. A segment of
// the pattern that begins with ":" matches any one segment, a last one that
// begins with "*" all that are left.
type route struct {
	pattern  string // "issue/:role"
	help     string // what ?help=1 answers
	stranger bool   // answers without a token, too
	ops      map[operation]handlerFunc

	segments []string // of pattern
}

// compile splits the patterns and puts the literal ones first, so that
// "certs/revoked" is found before "certs/:serial".
func compile(routes []route) []route {
	for i := range routes {
		routes[i].segments = strings.Split(routes[i].pattern, "/")
	}
	slices.SortStableFunc(routes, func(a, b route) int {
		return slices.CompareFunc(a.segments, b.segments, func(x, y string) int { return weight(x) - weight(y) })
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

// match gives the values of the pattern's variables, or false.
func (r *route) match(path []string) (map[string]string, bool) {
	vars := map[string]string{}
	for i, segment := range r.segments {
		switch weight(segment) {
		case 2:
			if i >= len(path) {
				return nil, false
			}
			vars[segment[1:]] = strings.Join(path[i:], "/")
			return vars, true
		case 1:
			if i >= len(path) {
				return nil, false
			}
			vars[segment[1:]] = path[i]
		default:
			if i >= len(path) || path[i] != segment {
				return nil, false
			}
		}
	}
	return vars, len(path) == len(r.segments)
}

// find gives the route for a path below a mount, nil if there is none.
func find(routes []route, rest string) (*route, map[string]string) {
	path := strings.Split(rest, "/")
	for i := range routes {
		if vars, ok := routes[i].match(path); ok {
			return &routes[i], vars
		}
	}
	return nil, nil
}
