package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/listen"
	"github.com/hsmpki/hsmpki/pkid/policy"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// identity is who asks: with policies a known peer, without any a stranger.
type identity struct {
	name     string // of the peer block, or of the user
	policies []string
	remote   string // for the log
	acl      *policy.ACL
}

// mayEverything reports whether the caller has the root policy.
func (who identity) mayEverything() bool { return slices.Contains(who.policies, policy.Root) }

// authenticate tells who sent the request. A token header alone decides where
// it is there, whoever the peer is; there are no tokens yet, so such a caller
// is nobody.
func (h *Handler) authenticate(req *http.Request) identity {
	from := listen.IdentityOf(req.Context())
	who := identity{remote: from.Remote, acl: h.Policies.ACL(nil)}
	if from.Peer != nil {
		who.remote = from.Peer.String()
	}
	if from.Peer == nil || hasToken(req.Header) {
		return who
	}
	who.name, who.policies = h.settings.Load().Peers.Lookup(*from.Peer)
	who.acl = h.Policies.ACL(who.policies)
	return who
}

// hasToken reports whether the request carries a token, be it as Vault's
// header or as a bearer's.
func hasToken(header http.Header) bool {
	if header.Get("X-Vault-Token") != "" {
		return true
	}
	scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(token) != ""
}

// capabilityOf says what a policy must give for an operation. Vault asks for
// create only where it looks first whether a thing exists, which no path of
// ours does.
var capabilityOf = map[operation]policy.Capability{
	read: policy.Read, list: policy.List, update: policy.Update, patch: policy.Patch, delete: policy.Delete,
}

// authorize lets the caller pass, or not. The path is the one that the route
// was found by.
func authorize(r *request, rt *route) error {
	if rt != nil && (rt.stranger || rt.watched && listen.MayWatch(r.ctx)) || may(r, rt, nil, r.who.acl.Capable) {
		return nil
	}
	return vaultapi.PermissionDenied()
}

// authorizeParams is the rest of authorize, when the parameters are read.
func authorizeParams(r *request, rt *route, sent map[string]any) error {
	if rt.stranger || rt.watched && listen.MayWatch(r.ctx) || may(r, rt, sent, r.who.acl.Allow) {
		return nil
	}
	return vaultapi.PermissionDenied()
}

// may asks the policies about the path as it is written and, where that is in
// other letters, about the one that it leads to: both have to be allowed.
func may(r *request, rt *route, sent map[string]any, allow func(policy.Request) bool) bool {
	ask := policy.Request{Path: r.path, Operation: capabilityOf[r.op], Parameters: sent}
	if rt == nil {
		return allow(ask)
	}
	ask.Sudo = rt.sudo
	if !allow(ask) {
		return false
	}
	ask.Path = rt.folded(r.path)
	return ask.Path == r.path || allow(ask)
}
