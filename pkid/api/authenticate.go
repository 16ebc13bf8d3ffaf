package api

import (
	"cmp"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/identity"
	"github.com/hsmpki/hsmpki/pkid/listen"
	"github.com/hsmpki/hsmpki/pkid/policy"
	"github.com/hsmpki/hsmpki/pkid/token"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// caller is who asks: with policies a known peer or a token, without any a
// stranger.
type caller struct {
	name     string // of the peer block, of the user, or the token's display name
	policies []string
	remote   string          // for the log
	token    *token.Token    // nil: none was shown, or none that is one
	alias    *identity.Alias // of the login that the token comes from; nil: there was none
	acl      *policy.ACL
}

// mayEverything reports whether the caller has the root policy.
func (who caller) mayEverything() bool { return slices.Contains(who.policies, policy.Root) }

// authenticate tells who sent the request. A token alone decides where one is
// shown, whoever the peer is. Who shows one that is none, for whatever cause, is
// nobody: he may what a stranger may, such as to log in.
func (h *Handler) authenticate(req *http.Request) (caller, error) {
	from := listen.IdentityOf(req.Context())
	who := caller{remote: from.Remote, acl: h.Policies.ACL(nil, nil)}
	if from.Peer != nil {
		who.remote = from.Peer.String()
	}
	id, err := tokenOf(req.Header)
	if err != nil {
		return who, err
	}
	if id == "" {
		if from.Peer != nil {
			who.name, who.policies = h.settings.Load().Peers.Lookup(*from.Peer)
			who.acl = h.Policies.ACL(who.policies, nil)
		}
		return who, nil
	}
	t, err := h.Tokens.Lookup(req.Context(), id)
	if errors.Is(err, token.ErrNotFound) {
		return who, nil
	}
	if err != nil {
		return who, err
	}
	if !t.From(addressOf(from.Remote)) {
		return who, nil
	}
	who.name, who.policies, who.token = t.DisplayName, t.Policies, t
	who.alias = t.Alias
	who.acl = h.Policies.ACL(who.policies, t.Alias)
	return who, nil
}

// tokenOf gives the token that a request carries, be it as Vault's header or as
// a bearer's, "" if it has none. Of two different ones neither is the caller's:
// somebody on the way may have looked at the other.
func tokenOf(header http.Header) (string, error) {
	shown := header.Values("X-Vault-Token")
	for _, value := range header.Values("Authorization") {
		if scheme, id, _ := strings.Cut(value, " "); strings.EqualFold(scheme, "Bearer") {
			shown = append(shown, strings.TrimSpace(id))
		}
	}
	found := ""
	for _, id := range shown {
		if found != "" && id != "" && id != found {
			return "", vaultapi.BadRequest("the request has two different tokens")
		}
		found = cmp.Or(found, id)
	}
	return found, nil
}

// addressOf takes the address out of that of a connection, or of the client of
// a proxy; the zero one is that of a Unix socket.
func addressOf(remote string) netip.Addr {
	if from, err := netip.ParseAddrPort(remote); err == nil {
		return from.Addr()
	}
	addr, _ := netip.ParseAddr(remote)
	return addr
}

// useToken counts a use of a token whose uses are limited. What strangers may
// have as well is none.
func (h *Handler) useToken(r *request, rt *route) error {
	if r.who.token == nil || rt != nil && rt.stranger {
		return nil
	}
	err := h.Tokens.Use(r.ctx, r.who.token)
	if errors.Is(err, token.ErrNotFound) {
		return vaultapi.PermissionDenied()
	}
	return err
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
	ask := policy.Request{Path: r.path, Operation: capabilityOf[r.op], Parameters: sent, WrapTTL: r.wrapTTL}
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
