package server

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

// attemptTime is how long one copy may take for a signature where another is
// there to be asked.
const attemptTime = 5 * time.Second

// signByCopies has the copies asked one after another until one has signed.
func (s *Server) signByCopies(ctx context.Context, k *managedkey.Key, public *managedkey.Public, asked *wire.SignRequest, signed []byte) ([]byte, error) {
	order := s.inOrder(k)
	var faults []error
	for i, c := range order {
		signature, err := s.signBy(ctx, c, i == len(order)-1, public, asked, signed)
		if err == nil {
			s.isBack(c)
			return signature, nil
		}
		if wire.GaveUp(ctx) {
			return nil, err
		}
		faults = append(faults, err)
	}
	err := leastCertain(faults)
	if isCode(err, wire.UnknownKey) || isCode(err, wire.KeyChanged) {
		k.Found(nil)
	}
	return nil, err
}

// signBy has one copy sign, the last of them with all the time that is left, and
// leaves it aside where it fails.
func (s *Server) signBy(ctx context.Context, c *managedkey.Copy, last bool, public *managedkey.Public, asked *wire.SignRequest, signed []byte) ([]byte, error) {
	c.UnderWay.Add(1)
	defer c.UnderWay.Add(-1)
	attempt := ctx
	if !last {
		var cancel context.CancelFunc
		attempt, cancel = context.WithTimeout(ctx, attemptTime)
		defer cancel()
	}
	own, err := s.knownOf(attempt, c, public)
	if err != nil {
		s.failedBy(ctx, c, err)
		return nil, err
	}
	switch {
	case !own.Allows(asked.Scheme):
		return nil, wire.Errorf(wire.Invalid, "the token of a copy of key %q (%s) does not sign with %s", c.Name(), placeOf(c.Key), asked.Scheme)
	case own.HashedByToken(asked.Scheme) && len(asked.Message) == 0:
		return nil, &wire.Error{Code: wire.Unavailable, RetryAfter: time.Second, Message: "the message is used up, and the token of another copy of the key hashes itself"}
	}
	signature, err := s.sign(attempt, c.Key, own, asked, signed)
	if err != nil {
		s.failedBy(ctx, c, err)
	}
	return signature, err
}

// failedBy leaves a copy aside that did not sign, unless that says nothing about
// it: it is only busy, or the caller, whose ctx is, did not wait.
func (s *Server) failedBy(ctx context.Context, c *managedkey.Copy, err error) {
	if !isCode(err, wire.Busy) && !wire.GaveUp(ctx) {
		s.isAway(c, err)
	}
}

// knownOf gives what is known of a copy, and looks for it where nothing is.
func (s *Server) knownOf(ctx context.Context, c *managedkey.Copy, want *managedkey.Public) (*managedkey.Public, error) {
	own := c.Public()
	if own == nil {
		err := c.Look(ctx, func() error {
			if own = c.Public(); own != nil {
				return nil
			}
			seen := s.lookAt(ctx, c)
			own = seen.public
			return seen.err
		})
		if err != nil {
			return nil, err
		}
	}
	if own.ID != want.ID {
		return nil, s.another(c, own, want)
	}
	return own, nil
}

// streamTo gives the copy that a message in parts goes to where each of those
// that are there hashes on the token; none where one takes a digest. What has
// just been found of a copy may be another key pair, not yet compared.
func (s *Server) streamTo(k *managedkey.Key, want *managedkey.Public, scheme wire.SignatureScheme) (to place, ok bool) {
	for _, c := range s.inOrder(k) {
		own := c.Public()
		switch {
		case own == nil || own.ID != want.ID || c.Away() != nil || !own.Allows(scheme):
		case !own.HashedByToken(scheme):
			return place{}, false
		case !ok:
			to, ok = place{key: c.Key, public: own, copy: c}, true
		}
	}
	return to, ok
}

// inOrder gives the copies in the order in which they are to be asked: those that
// are there, the least busy first, and then the others. For these somebody looks,
// when it is time.
func (s *Server) inOrder(k *managedkey.Key) []*managedkey.Copy {
	turn := int(k.Turn() % uint64(len(k.Copies)))
	order := slices.Concat(k.Copies[turn:], k.Copies[:turn])
	slices.SortStableFunc(order, func(a, b *managedkey.Copy) int {
		if here := cmp.Compare(away(a), away(b)); here != 0 {
			return here
		}
		return cmp.Compare(a.UnderWay.Load(), b.UnderWay.Load())
	})
	if order[0].Away() == nil {
		for _, c := range order {
			if a := c.Away(); a != nil && time.Now().After(a.Again) && c.Looking.CompareAndSwap(false, true) {
				go s.lookAgain(k, c)
			}
		}
	}
	return order
}

func away(c *managedkey.Copy) int {
	if c.Away() == nil {
		return 0
	}
	return 1
}

// lookAgain looks whether a copy is there again.
func (s *Server) lookAgain(k *managedkey.Key, c *managedkey.Copy) {
	defer s.begin().end()
	defer c.Looking.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	seen := s.lookAt(ctx, c)
	want := k.Public()
	if want == nil {
		want = seen.public
	}
	s.judge(c, seen, want)
}
