package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/listen"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// rootPolicy is the policy that may do everything.
const rootPolicy = "root"

// identity is who asks: with policies a known peer, without any a stranger.
type identity struct {
	name     string // of the peer block, or of the user
	policies []string
	remote   string // for the log
}

// mayEverything reports whether the caller has the root policy.
func (who identity) mayEverything() bool { return slices.Contains(who.policies, rootPolicy) }

// authenticate tells who sent the request. A token header alone decides where
// it is there, whoever the peer is; there are no tokens yet, so such a caller
// is nobody.
func (h *Handler) authenticate(req *http.Request) identity {
	from := listen.IdentityOf(req.Context())
	who := identity{remote: from.Remote}
	if from.Peer != nil {
		who.remote = from.Peer.String()
	}
	if from.Peer == nil || hasToken(req.Header) {
		return who
	}
	who.name, who.policies = h.settings.Load().Peers.Lookup(*from.Peer)
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

// authorize lets the caller pass, or not.
func authorize(who identity, rt *route) error {
	if who.mayEverything() || rt != nil && rt.stranger {
		return nil
	}
	return vaultapi.PermissionDenied()
}
