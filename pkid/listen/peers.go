package listen

import (
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// Peers says which policies who has that comes by a Unix socket.
type Peers []peerRule

type peerRule struct {
	name     string
	uid, gid *uint32
	policies []string
}

// NewPeers looks up the users and groups of the peer blocks once. Without any,
// root and this process's own user have the root policy (see config.PKID).
func NewPeers(configured []config.Peer) (Peers, error) {
	if len(configured) == 0 {
		root, self, policies := uint32(0), uint32(os.Getuid()), []string{"root"}
		table := Peers{{name: "root", uid: &root, policies: policies}}
		if self != root {
			table = append(table, peerRule{name: strconv.Itoa(int(self)), uid: &self, policies: policies})
		}
		return table, nil
	}
	var table Peers
	for _, p := range configured {
		rule := peerRule{name: p.Name}
		for _, policy := range p.Policies {
			rule.policies = append(rule.policies, strings.ToLower(policy)) // as package policy has them
		}
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

// Lookup gives the union of the policies of the rules that match, and the
// first one's name.
func (t Peers) Lookup(peer unixsock.Peer) (name string, policies []string) {
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
