package server

import (
	"context"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

// Replace puts another state in force. next makes it of the one that is; no
// definition changes meanwhile, and if it fails, nothing does. Requests that
// have begun go on with the state that they began with; peers that no client
// block matches any more are cut off as soon as theirs are answered.
func (s *Server) Replace(ctx context.Context, next func(now *State) (*State, error)) error {
	if err := s.beginChange(ctx); err != nil {
		return err
	}
	defer s.endChange()
	before := s.state.Load()
	state, err := next(before)
	if err != nil {
		return err
	}
	s.state.Store(state)
	for _, k := range state.Keys.All() {
		if before.Keys.Lookup(k.Name()) != k {
			// It was told before it was in force, and may have missed a PIN that was
			// refused meanwhile.
			k.Untell()
		}
	}
	var replaced []*managedkey.Key
	for _, k := range before.Keys.All() {
		if now := state.Keys.Lookup(k.Name()); now != k {
			s.superseded(k, now)
			replaced = append(replaced, k)
		}
	}
	s.Afterwards(func() { s.Drop(replaced...) })
	s.cutOff()
	return nil
}

// State is the one in force.
func (s *Server) State() *State { return s.state.Load() }

// superseded is called when a key is not in force any more; now is the one of
// its name that is, if any.
func (s *Server) superseded(k, now *managedkey.Key) {
	if now == nil || !managedkey.SameDefinition(k, now) && !samePair(k, now) {
		s.responders.Forget(k.Name())
	}
}

// samePair reports whether both keys are known to be the same pair.
func samePair(a, b *managedkey.Key) bool {
	p, q := a.Last(), b.Last()
	return p != nil && q != nil && p.ID == q.ID
}

// Find looks for the key pair of a key, which need not be in force yet: the
// token is logged in to, and what is found is known from then on.
func (s *Server) Find(ctx context.Context, k *managedkey.Key) error {
	_, err := s.find(ctx, k)
	return err
}

// dropTime bounds how long workers are waited for that are to forget.
const dropTime = 10 * time.Second

// Drop has the workers forget definitions that nobody needs any more.
func (s *Server) Drop(keys ...*managedkey.Key) {
	ctx, cancel := context.WithTimeout(context.Background(), dropTime)
	defer cancel()
	var places []*managedkey.Key
	for _, k := range keys {
		places = append(places, k.Places()...)
	}
	for _, k := range places {
		if k.Library == nil || !k.Handed() {
			continue
		}
		_, err := k.Library.Backend.Forget(ctx, &wire.ForgetRequest{Key: k.Handle})
		if err != nil && !isCode(err, wire.UnknownKey) {
			s.log.Warn("the worker did not forget a managed key", "key", k.Name(), "library", k.Library.Name, "error", err)
		}
	}
}

// cutOff ends the connections of peers to whom the state has nothing to say.
// What they have asked is still answered.
func (s *Server) cutOff() {
	grants := s.state.Load().Grants
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		if _, ok := grants.Grant(c.peer); !ok {
			s.log.Warn("a peer that no client block matches any more was cut off", "uid", c.peer.UID, "gid", c.peer.GID, "pid", c.peer.PID)
			c.cutOff()
		}
	}
}
