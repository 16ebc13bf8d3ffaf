package server

import (
	"cmp"
	"context"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

// A key pair on several tokens is signed with by whichever copy has the least to
// do. One that fails is left aside, and the next is asked, within the same
// request; from then on requests that have another copy look now and then, beside
// their own work, whether it is there again.

const (
	// patience is how long the other copies are waited for when one is found.
	patience = 3 * time.Second
	// A copy that is away is looked for after firstLook, and then ever more
	// seldom, up to lastLook. lookTime bounds how long that may take.
	firstLook = 500 * time.Millisecond
	lastLook  = 10 * time.Second
	lookTime  = 20 * time.Second
)

// findCopies looks for a key pair on each of its tokens. It is enough that one
// has it. Which pair is meant where they differ: the one that it was, else that of
// the first of them.
func (s *Server) findCopies(ctx context.Context, k *managedkey.Key) (*managedkey.Public, error) {
	seen := s.lookAtAll(ctx, k)
	if wire.GaveUp(ctx) {
		return nil, wire.Errorf(wire.Unavailable, "looking for the copies of %q: the caller did not wait", k.Name())
	}
	var public *managedkey.Public
	for _, l := range seen {
		if l.public != nil && (public == nil || k.Last() != nil && l.public.ID == k.Last().ID) {
			public = l.public
		}
	}
	if public == nil {
		faults := make([]error, len(seen))
		for i, l := range seen {
			faults[i] = l.err
		}
		err := leastCertain(faults)
		if isCode(err, wire.UnknownKey) {
			k.Found(nil)
		}
		return nil, err
	}
	var schemes []wire.SignatureScheme
	for i, c := range k.Copies {
		if s.judge(c, seen[i], public) {
			schemes = append(schemes, seen[i].public.Schemes...)
		}
	}
	return s.found(k, &wire.KeyInfo{PublicKey: public.SPKI, Schemes: schemes})
}

// sight is what looking for a key pair on one token came to.
type sight struct {
	public *managedkey.Public
	err    error // set where public is not
}

// lookAtAll asks the tokens of a key at once. One that does not answer does not
// keep the others waiting for long.
func (s *Server) lookAtAll(ctx context.Context, k *managedkey.Key) []sight {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make([]chan sight, len(k.Copies))
	for i, c := range k.Copies {
		results[i] = make(chan sight, 1)
		go func() { results[i] <- s.lookAt(ctx, c) }()
	}
	// Whoever is found begins the time of those that are not.
	deadline := make(chan struct{})
	seen := make([]sight, len(k.Copies))
	var begun sync.Once
	var waiting sync.WaitGroup
	for i := range k.Copies {
		waiting.Go(func() {
			select {
			case seen[i] = <-results[i]:
				if seen[i].err == nil {
					begun.Do(func() { time.AfterFunc(patience, func() { close(deadline) }) })
				}
			case <-deadline:
				seen[i].err = &wire.Error{Code: wire.Unavailable, RetryAfter: time.Second, Message: "its library does not answer"}
			}
		})
	}
	waiting.Wait()
	return seen
}

// lookAt looks for the key pair on one token, and keeps what is found with the
// copy.
func (s *Server) lookAt(ctx context.Context, c *managedkey.Copy) sight {
	err := s.tell(ctx, c.Key)
	if err == nil {
		var told *wire.KeyInfo
		if told, err = s.ask(ctx, c.Key); err == nil {
			var public *managedkey.Public
			if public, err = s.found(c.Key, told); err == nil {
				return sight{public: public}
			}
		}
	}
	if ctx.Err() == nil {
		c.Found(nil)
	}
	return sight{err: err}
}

// judge puts a copy in use, or leaves it aside.
func (s *Server) judge(c *managedkey.Copy, seen sight, want *managedkey.Public) bool {
	if seen.err == nil && seen.public.ID != want.ID {
		seen.err = s.another(c, seen.public, want)
	}
	if seen.err != nil {
		s.isAway(c, seen.err)
		return false
	}
	s.isBack(c)
	return true
}

// leastCertain is the error of a key of which no copy was found: that it does not
// exist only if all say so, and one that passes before one that does not.
func leastCertain(errs []error) error {
	rank := func(err error) int {
		switch {
		case isCode(err, wire.UnknownKey):
			return 2
		case wire.AsError(err).Code.Retryable():
			return 0
		}
		return 1
	}
	return slices.MinFunc(errs, func(a, b error) int { return cmp.Compare(rank(a), rank(b)) })
}

// another is the alarm that a token has another key pair than the rest.
func (s *Server) another(c *managedkey.Copy, p, want *managedkey.Public) error {
	if before := c.Away(); before == nil || !isCode(before.Err, wire.KeyChanged) {
		s.log.Error("ALARM: a copy of a key is another key pair; it is not used", "key", c.Name(), "copy", placeOf(c.Key),
			"public_key", hex.EncodeToString(p.ID[:]), "should_be", hex.EncodeToString(want.ID[:]))
	}
	c.Found(nil)
	return wire.Errorf(wire.KeyChanged, "it is another key pair: its public key's SHA-256 begins %x, that of the others %x", p.ID[:8], want.ID[:8])
}

// isAway leaves a copy aside. That it is away is logged once.
func (s *Server) isAway(c *managedkey.Copy, err error) {
	now := time.Now()
	before := c.Away()
	next := &managedkey.Away{Err: err, Since: now, Again: now.Add(firstLook)}
	if before != nil {
		next.Since = before.Since
		next.Again = now.Add(min(max(2*before.Again.Sub(before.Since), firstLook), lastLook))
	}
	if c.SetAway(next) == nil {
		s.log.Warn("a copy of a key is away, the others go on", "key", c.Name(), "copy", placeOf(c.Key), "error", err)
	}
}

func (s *Server) isBack(c *managedkey.Copy) {
	if before := c.SetAway(nil); before != nil {
		s.log.Info("a copy of a key is there again", "key", c.Name(), "copy", placeOf(c.Key), "away_for", time.Since(before.Since).Round(time.Millisecond).String())
	}
}

func placeOf(k *managedkey.Key) string {
	p := k.Definition.PKCS11
	return k.Library.Name + "/" + cmp.Or(p.TokenLabel, p.TokenSerial, "slot")
}
