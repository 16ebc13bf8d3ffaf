package api

import (
	"fmt"
	"net/http"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/pkid/listen"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
	"github.com/hsmpki/hsmpki/wire/unixsock"
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
	who.name, who.policies = h.peers.lookup(*from.Peer)
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

// peerTable says which policies a peer has.
type peerTable []peerRule

type peerRule struct {
	name     string
	uid, gid *uint32
	policies []string
}

// newPeerTable looks up the users and groups once.
func newPeerTable(configured []config.Peer) (peerTable, error) {
	if len(configured) == 0 {
		root, self := uint32(0), uint32(os.Getuid())
		table := peerTable{{name: rootPolicy, uid: &root, policies: []string{rootPolicy}}}
		if self != root {
			table = append(table, peerRule{name: strconv.Itoa(int(self)), uid: &self, policies: []string{rootPolicy}})
		}
		return table, nil
	}
	var table peerTable
	for _, p := range configured {
		rule := peerRule{name: p.Name, policies: p.Policies}
		if p.User != "" {
			uid, err := number(p.User, func(name string) (string, error) {
				u, err := user.Lookup(name)
				if err != nil {
					return "", err
				}
				return u.Uid, nil
			})
			if err != nil {
				return nil, p.Place.Errorf("user", "peer %q: %v", p.Name, err)
			}
			rule.uid = &uid
		}
		if p.Group != "" {
			gid, err := number(p.Group, func(name string) (string, error) {
				g, err := user.LookupGroup(name)
				if err != nil {
					return "", err
				}
				return g.Gid, nil
			})
			if err != nil {
				return nil, p.Place.Errorf("group", "peer %q: %v", p.Name, err)
			}
			rule.gid = &gid
		}
		if rule.uid == nil && rule.gid == nil {
			return nil, fmt.Errorf("peer %q names neither a user nor a group", p.Name)
		}
		table = append(table, rule)
	}
	return table, nil
}

func number(name string, find func(string) (string, error)) (uint32, error) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(n), nil
	}
	id, err := find(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(id, 10, 32)
	return uint32(n), err
}

// lookup gives the union of the policies of the rules that match, and the
// first one's name.
func (t peerTable) lookup(peer unixsock.Peer) (name string, policies []string) {
	for _, rule := range t {
		if rule.uid != nil && *rule.uid != peer.UID || rule.gid != nil && !peer.InGroup(*rule.gid) {
			continue
		}
		if name == "" {
			name = rule.name
		}
		for _, policy := range rule.policies {
			if !slices.Contains(policies, policy) {
				policies = append(policies, policy)
			}
		}
	}
	return name, policies
}
