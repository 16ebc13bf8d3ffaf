//go:build cgo

package pkcs11

import (
	"time"

	p11 "github.com/miekg/pkcs11"
)

// tendEvery is how often sessions that nobody uses are looked after. HSMs have
// been seen to close theirs after 15 s.
const tendEvery = 10 * time.Second

// tend looks after the sessions of all tokens as long as the library is in use,
// so that one which died in the quiet is not found out by a request.
func (s *Service) tend() {
	for {
		select {
		case <-time.After(tendEvery):
			s.tendOnce()
		case <-s.closed:
			return
		}
	}
}

func (s *Service) tendOnce() {
	if !s.tending.TryLock() {
		return // the library is not used any more
	}
	defer s.tending.Unlock()
	s.mu.Lock()
	var tokens []*token
	for _, t := range s.known {
		tokens = append(tokens, t)
	}
	s.mu.Unlock()
	for _, t := range tokens {
		t.tend()
	}
}

// tend asks the anchor first: where the login went with it, the next request
// logs in, and the other sessions are of no use.
func (t *token) tend() {
	select {
	case t.signing <- struct{}{}:
		defer func() { <-t.signing }()
	default:
		return // somebody logs in right now, in the anchor
	}
	t.mu.Lock()
	anchored, anchor, in, generation := t.anchored, t.anchor, t.in, t.generation
	t.mu.Unlock()
	if anchored {
		if err := t.alive(anchor, in); err != nil {
			t.lost(generation)
			return
		}
		// C_GetSessionInfo is answered by some libraries without their HSM, which
		// then sees nobody. What the token makes of this is of no interest.
		_, _ = t.module.GenerateRandom(anchor, 1)
	}
	t.sessions.probe()
}

// alive asks a session whether it is there, and logged in as it should be.
func (t *token) alive(session p11.SessionHandle, in bool) error {
	if !in {
		_, err := t.module.GetSessionInfo(session)
		return err
	}
	return t.stillIn(session)
}
