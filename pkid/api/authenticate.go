package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/listen"
	"github.com/hsmpki/hsmpki/pkid/policy"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// rootPolicy is the policy that may do everything.
const rootPolicy = "root"

// identity is who asks: with policies a known peer, without any a stranger.
type identity struct {
	name     string // of the peer block, or of the user
	policies []string
	remote   string // for the log
	acl      *policy.ACL
}

// mayEverything reports whether the caller has the root policy.
func (who identity) mayEverything() bool { return slices.Contains(who.policies, rootPolicy) }

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
	if rt != nil && rt.stranger || r.who.acl.Capable(asked(r, rt)) {
		return nil
	}
	return vaultapi.PermissionDenied()
}

// authorizeParams is the rest of authorize, when the parameters are read.
func authorizeParams(r *request, rt *route, sent map[string]any) error {
	ask := asked(r, rt)
	ask.Parameters = sent
	if rt.stranger || r.who.acl.Allow(ask) {
		return nil
	}
	return vaultapi.PermissionDenied()
}

func asked(r *request, rt *route) policy.Request {
	return policy.Request{Path: r.path, Operation: capabilityOf[r.op], Sudo: rt != nil && rt.sudo}
}
