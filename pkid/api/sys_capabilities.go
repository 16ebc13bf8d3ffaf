package api

import (
	"errors"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/policy"
	"github.com/hsmpki/hsmpki/pkid/token"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// folded gives a path in the letters of what it leads to.
func (h *Handler) folded(path string) string {
	path = strings.TrimLeft(path, "/")
	bare := strings.TrimRight(path, "/")
	if rt := h.route(&request{path: bare}); rt != nil {
		return rt.folded(bare) + path[len(bare):]
	}
	return path
}

// readOwnCapabilities tells what the caller may do with each path.
func readOwnCapabilities(h *Handler, r *request) (*answer, error) {
	return h.capabilities(r, r.who.acl)
}

// readCapabilities tells what another token may do.
func readCapabilities(h *Handler, r *request) (*answer, error) {
	id := r.params.String("token")
	if id == "" {
		return nil, vaultapi.BadRequest("missing token")
	}
	t, err := h.Tokens.Lookup(r.ctx, id)
	if errors.Is(err, token.ErrNotFound) {
		return nil, vaultapi.BadRequest("invalid token")
	}
	if err != nil {
		return nil, err
	}
	return h.capabilities(r, h.Policies.ACL(t.Policies, t.Alias))
}

// readCapabilitiesByAccessor is the same for a token that is not known.
func readCapabilitiesByAccessor(h *Handler, r *request) (*answer, error) {
	t, err := h.tokenByAccessor(r)
	if err != nil {
		return nil, err
	}
	return h.capabilities(r, h.Policies.ACL(t.Policies, t.Alias))
}

// maxAsked bounds how many paths one request asks about.
const maxAsked = 500

func (h *Handler) capabilities(r *request, acl *policy.ACL) (*answer, error) {
	paths := append(r.params.StringList("paths"), r.params.StringList("path")...)
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, vaultapi.BadRequest("missing value for 'paths'")
	}
	if len(paths) > maxAsked {
		return nil, vaultapi.BadRequest("'paths' has %d paths; %d are possible", len(paths), maxAsked)
	}
	data := map[string]any{}
	for _, path := range paths {
		if len(path) > maxPath {
			return nil, vaultapi.BadRequest("'paths' has one of %d octets; no path has more than %d octets", len(path), maxPath)
		}
		data[path] = acl.Capabilities(path, h.folded(path))
	}
	if len(paths) == 1 {
		data["capabilities"] = data[paths[0]]
	}
	return &answer{data: data, topLevel: true}, nil
}

// readResultantACL tells Vault's UI what the caller may do.
func readResultantACL(_ *Handler, r *request) (*answer, error) {
	exact, glob := r.who.acl.Paths()
	return &answer{data: map[string]any{"root": r.who.mayEverything(), "exact_paths": exact, "glob_paths": glob}}, nil
}
