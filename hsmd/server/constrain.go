package server

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/approval"
	"github.com/hsmpki/hsmpki/hsmd/constraint"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/responder"
	"github.com/hsmpki/hsmpki/hsmd/tbs"
	"github.com/hsmpki/hsmpki/wire"
)

// Constraints are what the configuration says of what keys sign.
type Constraints struct {
	Keys map[string]*constraint.Set // of keys in the configuration, by name
	Wire *constraint.Set            // of all other keys
}

// of gives the set for a key, nil for none.
func (c *Constraints) of(k *managedkey.Key) *constraint.Set {
	if isConfigured(k) {
		return c.Keys[k.Name()]
	}
	return c.Wire
}

// constraintsOf gives the sets for a key pair that is asked for as k: those of all
// its names, and each holds.
func (s *State) constraintsOf(k *managedkey.Key, id [sha256.Size]byte) (sets []*constraint.Set) {
	add := func(set *constraint.Set) {
		if set != nil && !slices.Contains(sets, set) {
			sets = append(sets, set)
		}
	}
	add(s.Constraints.of(k))
	for _, other := range s.Keys.All() {
		if known := other.Last(); known != nil && known.ID == id {
			add(s.Constraints.of(other))
		}
	}
	return sets
}

// constrained refuses what the key may not sign. With a delegate the message is
// for that one to sign, in the managed key's name and under its rules.
func (c *session) constrained(state *State, k *managedkey.Key, public *managedkey.Public, delegate *responder.Key, rule *approval.Rule, m *tbs.Summary) error {
	id := ownerOf(public, delegate)
	if constraint.IsLeaf(m) {
		if own := state.ownKey(m.SPKI); own != "" {
			return &constraint.Refusal{Set: k.Name(), Rule: "managed keys", Reason: "the certificate is for the managed key " + own + ", and no CA certificate"}
		}
	}
	facts := constraint.Facts{Now: c.srv.now(), Responder: len(m.SPKI) > 0 && c.srv.respondsFor(k, id, m.SPKI)}
	if rule != nil {
		facts.Waited = 2 * rule.Wait
	}
	for _, set := range state.constraintsOf(k, id) {
		if err := set.Check(m, facts); err != nil {
			return err
		}
	}
	return nil
}

// ownerOf is the SHA-256 of the public key in whose name a message is signed.
func ownerOf(public *managedkey.Public, delegate *responder.Key) [sha256.Size]byte {
	if delegate != nil {
		return delegate.Owner
	}
	return public.ID
}

// ownKey names the managed key that a public key is, in whatever encoding; "" if
// it is none that was found.
func (s *State) ownKey(spki []byte) string {
	number := managedkey.Number(spki)
	for _, k := range s.Keys.All() {
		if known := k.Last(); known != nil && number != nil && bytes.Equal(known.Number, number) {
			return k.Name()
		}
	}
	return ""
}

// respondsFor reports whether a public key is that of an OCSP responder which hsmd
// has in memory for a key pair.
func (s *Server) respondsFor(k *managedkey.Key, owner [sha256.Size]byte, spki []byte) bool {
	id := sha256.Sum256(spki)
	key := s.responders.Find(k.Name(), id[:])
	return key != nil && key.Owner == owner
}

// counted takes one signature of what the rates of a key pair allow. certificate
// says that it counts for the day too, also where nothing bounds the day yet.
func (s *Server) counted(k *managedkey.Key, public *managedkey.Public, certificate bool) error {
	var rates []constraint.Rate
	for _, set := range s.state.Load().constraintsOf(k, public.ID) {
		rates = append(rates, set.Rate())
	}
	if len(rates) == 0 && !certificate {
		return nil
	}
	err := s.limiter.Take(public.ID, rates, certificate, s.now())
	busy, ok := errors.AsType[*constraint.Busy](err)
	if !ok {
		return err
	}
	s.quiet.warn("a key has signed as often as it may", "key", k.Name(), "reason", busy.Reason)
	// Whole seconds are what clients wait.
	wait := time.Duration(math.Ceil(busy.Wait.Seconds())) * time.Second
	return &wire.Error{Code: wire.Busy, RetryAfter: wait, Message: busy.Reason}
}
