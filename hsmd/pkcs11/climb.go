//go:build cgo

package pkcs11

import (
	"errors"

	p11 "github.com/miekg/pkcs11"
)

// climb is one request's way up the ladder. Each rung is taken once, so that a
// request ends, and in the order in which failures ask for them: behind a
// session that is gone the handle may be stale, and behind that the login.
type climb struct{ taken [otherLogin + 1]bool }

// next takes the rung that may help against a failure on a token, and is false
// where there is none, or none any more. generation is the login that the
// request had.
func (c *climb) next(t *token, generation int, err error) bool {
	ckr, ok := errors.AsType[p11.Error](err)
	if !ok {
		return false
	}
	r := meaning(ckr).rung
	if r == noRung || c.taken[r] {
		return false
	}
	c.taken[r] = true
	switch r {
	case freshSessions:
		t.sessions.discardIdle()
	case otherLogin:
		t.lost(generation)
	}
	return true
}
