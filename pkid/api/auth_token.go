package api

import (
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// lookupSelf answers a peer as a token would be answered: it has policies, and
// neither an id nor an end.
func lookupSelf(h *Handler, r *request) (*answer, error) {
	return &answer{data: map[string]any{
		"accessor": "", "id": "", "path": "peer/" + r.who.name, "display_name": "peer-" + r.who.name, "entity_id": "", "meta": nil,
		"policies": r.who.policies, "type": "service", "orphan": true, "renewable": false, "num_uses": 0,
		"ttl": 0, "creation_ttl": 0, "explicit_max_ttl": 0, "expire_time": nil,
		"creation_time": h.started.Unix(), "issue_time": h.started.UTC().Format(time.RFC3339),
	}}, nil
}

// renewSelf refuses in the words that clients look for: a peer has no end that
// could be put off.
func renewSelf(*Handler, *request) (*answer, error) {
	return nil, vaultapi.BadRequest("lease is not renewable")
}

// folded gives a path in the letters of what it leads to.
func (h *Handler) folded(path string) string {
	path = strings.TrimLeft(path, "/")
	bare := strings.TrimRight(path, "/")
	if rt := h.route(&request{path: bare}); rt != nil {
		return rt.folded(bare) + path[len(bare):]
	}
	return path
}

// readCapabilities tells what the caller may do with each path.
func readCapabilities(h *Handler, r *request) (*answer, error) {
	paths := append(r.params.StringList("paths"), r.params.StringList("path")...)
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, vaultapi.BadRequest("missing value for 'paths'")
	}
	data := map[string]any{}
	for _, path := range paths {
		data[path] = r.who.acl.Capabilities(path, h.folded(path))
	}
	if len(paths) == 1 {
		data["capabilities"] = data[paths[0]]
	}
	return &answer{data: data, topLevel: true}, nil
}
