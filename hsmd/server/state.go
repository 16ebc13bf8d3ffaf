package server

import (
	"time"

	"github.com/hsmpki/hsmpki/hsmd/grant"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
)

// State is what hsmd's configuration and its stored keys make together. It
// never changes: whoever defines a key makes another, and a request holds on to
// the one that it began with.
type State struct {
	Grants      *grant.Table
	WorkerUsers map[uint32]bool // users of their own that workers run as
	Approval    Approval        // what people have to approve
	Constraints Constraints     // what keys may sign
	// UnrecordedGoodUntil is until when OCSP may say "good" of certificates that
	// the ledger does not know.
	UnrecordedGoodUntil time.Time
	managedkey.Built
}

// withKeys is the state with other keys.
func (s *State) withKeys(keys *managedkey.Set) *State {
	next := *s
	next.Keys = keys
	return &next
}

// storedKeys counts the keys that count for max_keys.
func (s *State) storedKeys() (n int) {
	for _, k := range s.Keys.All() {
		if !isConfigured(k) {
			n++
		}
	}
	return n
}
