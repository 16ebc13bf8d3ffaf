package server

import (
	"errors"
	"strings"
	"sync/atomic"

	"github.com/hsmpki/hsmpki/hsmd/grant"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// session is the [wire.Service] that one peer sees: each method begins with
// what the peer may ask.
type session struct {
	srv  *Server
	peer unixsock.Peer

	granted atomic.Pointer[granted]
}

// granted is the peer's grant under one state.
type granted struct {
	table *grant.Table
	grant.Grant
}

var _ wire.Service = (*session)(nil)

// now gives the state in force and the peer's grant under it. Where a new
// configuration has taken everything from the peer, the grant allows nothing.
func (c *session) now() (*State, *granted) {
	state := c.srv.state.Load()
	if g := c.granted.Load(); g != nil && g.table == state.Grants {
		return state, g
	}
	g := &granted{table: state.Grants}
	g.Grant, _ = state.Grants.Grant(c.peer)
	c.granted.Store(g)
	return state, g
}

// key finds a key of which the peer may ask an operation. Whether a key exists
// that the peer may not ask for is not told.
func (c *session) key(op grant.Operation, name string) (*managedkey.Key, error) {
	k, _, err := c.keyIn(op, name)
	return k, err
}

// keyIn gives the state, too, that the key is of: its rules are those by which
// the request is judged, also when a reload comes in between.
func (c *session) keyIn(op grant.Operation, name string) (*managedkey.Key, *State, error) {
	state, g := c.now()
	k := state.Keys.Lookup(name)
	if !g.may(op, name, k) {
		return nil, nil, c.refused(op, name)
	}
	if k == nil {
		return nil, nil, wire.Errorf(wire.UnknownKey, "there is no managed key %q", name)
	}
	return k, state, nil
}

// may is the grant with the rule for internal keys: whoever had one made may
// use it, and needs generate alone for that.
func (g *granted) may(op grant.Operation, name string, k *managedkey.Key) bool {
	if g.Allows(op, name) {
		return true
	}
	return k != nil && k.Source == wire.SourceInternal && k.Owner == g.UID && g.Has(grant.Generate)
}

func (c *session) refused(op grant.Operation, name string) error {
	c.srv.quiet.warn("refused by the grant", "uid", c.peer.UID, "pid", c.peer.PID, "operation", string(op), "key", shorten(name))
	err := wire.Errorf(wire.Denied, "hsmd's configuration gives user %d no %q on key %q", c.peer.UID, string(op), shorten(name))
	c.refuse(name, "", err)
	return err
}

func isConfigured(k *managedkey.Key) bool { return k.Source == wire.SourceConfig }

// shorten keeps what a peer sent from filling a log or an answer.
func shorten(s string) string {
	if len(s) > 128 {
		s = s[:128] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

// isCode reports whether err is a wire.Error of that code.
func isCode(err error, code wire.Code) bool { return errors.Is(err, code) }
