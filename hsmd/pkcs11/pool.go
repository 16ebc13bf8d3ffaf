//go:build cgo

package pkcs11

import (
	"context"
	"fmt"
	"sync"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// pool holds the sessions of one token. A session belongs to one call from
// start to end, since what a library does when two share one is undefined, and
// in practice a crash. A session after an error is not given out again.
//
// Sessions are opened when they are needed and kept. The ceiling is the
// configuration's or the token's, and is lowered to what is open when the token
// refuses another. It rises again one by one, for a token may have been short of
// sessions because others had them.
type pool struct {
	token  *token
	single bool // the token has room for one session, so there is no anchor

	most int // the ceiling of a token that has room

	mu      sync.Mutex
	ceiling int
	open    int
	idle    []p11.SessionHandle
	rw      bool // sessions are opened read-write, for tokens that sign in no others
	waiting []chan p11.SessionHandle
}

const (
	defaultSessions = 32
	// noSession, sent to one who waits, tells him to open one himself. PKCS#11
	// has 0 as CK_INVALID_HANDLE.
	noSession = p11.SessionHandle(0)
)

func newPool(t *token, configured int, tokens uint) *pool {
	ceiling := configured
	if ceiling <= 0 {
		ceiling = defaultSessions
	}
	// 0 is "no limit"; all ones is "not told", and some say 2^64-2. One session
	// is the anchor's.
	if tokens > 0 && tokens < 1<<31 {
		ceiling = min(ceiling, max(int(tokens)-1, 1))
	}
	return &pool{token: t, most: ceiling, ceiling: ceiling, single: tokens == 1}
}

// maxWaiting bounds the queue: whoever comes later is told to come again.
func (p *pool) maxWaiting() int { return 64 + 8*p.ceiling }

// use runs fn with a session. When fn fails, the session is closed: it may be
// in the middle of an operation.
func (p *pool) use(ctx context.Context, fn func(p11.SessionHandle) error) error {
	session, err := p.take(ctx)
	if err != nil {
		return err
	}
	err = fn(session)
	p.give(session, err == nil)
	return err
}

func (p *pool) take(ctx context.Context) (p11.SessionHandle, error) {
	for {
		p.mu.Lock()
		if n := len(p.idle); n > 0 {
			session := p.idle[n-1]
			p.idle = p.idle[:n-1]
			p.mu.Unlock()
			return session, nil
		}
		if p.open < p.ceiling {
			p.open++
			p.mu.Unlock()
			session, err := p.openOne()
			if err != nil && isCKR(err, p11.CKR_SESSION_COUNT) && p.lower() {
				continue
			}
			return session, p.opened(err)
		}
		if len(p.waiting) >= p.maxWaiting() {
			p.mu.Unlock()
			return 0, &wire.Error{Code: wire.Busy, RetryAfter: 250 * time.Millisecond,
				Message: "all sessions of token " + p.token.String() + " are in use, and the queue is full"}
		}
		turn := make(chan p11.SessionHandle, 1)
		p.waiting = append(p.waiting, turn)
		p.mu.Unlock()
		select {
		case session := <-turn:
			if session != noSession {
				return session, nil
			}
		case <-ctx.Done():
			p.leave(turn)
			return 0, gaveUp(ctx)
		}
	}
}

func (p *pool) openOne() (p11.SessionHandle, error) {
	flags := uint(p11.CKF_SERIAL_SESSION)
	p.mu.Lock()
	if p.rw {
		flags |= p11.CKF_RW_SESSION
	}
	p.mu.Unlock()
	return p.token.module.OpenSession(p.token.slot, flags)
}

// opened gives the place back where the session could not be opened.
func (p *pool) opened(err error) error {
	if err == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open--
	p.wake(noSession)
	return fmt.Errorf("C_OpenSession: %w", err)
}

// lower takes the number of open sessions for the most that the token allows.
// It is false when there is none: then the token has no room for us at all.
func (p *pool) lower() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open <= 1 {
		return false
	}
	p.open--
	p.ceiling = p.open
	return true
}

func (p *pool) give(session p11.SessionHandle, sound bool) {
	if !sound {
		_ = p.token.module.CloseSession(session)
		session = noSession
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if session == noSession {
		p.open--
	}
	if !p.wake(session) && session != noSession {
		p.idle = append(p.idle, session)
	}
}

// wake hands a session, or the place of one, to whoever waits longest.
func (p *pool) wake(session p11.SessionHandle) bool {
	if len(p.waiting) == 0 {
		return false
	}
	p.waiting[0] <- session
	p.waiting = p.waiting[1:]
	return true
}

// leave ends a wait that was too long. What came at the last moment goes on.
func (p *pool) leave(turn chan p11.SessionHandle) {
	p.mu.Lock()
	for i, other := range p.waiting {
		if other == turn {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			p.mu.Unlock()
			return
		}
	}
	p.mu.Unlock()
	if session := <-turn; session != noSession {
		p.give(session, true)
	} else {
		p.mu.Lock()
		p.wake(noSession)
		p.mu.Unlock()
	}
}

// discardIdle closes the sessions that nobody uses: after a login is lost they
// are of no use, and to make room.
func (p *pool) discardIdle() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.open -= len(idle)
	p.mu.Unlock()
	for _, session := range idle {
		_ = p.token.module.CloseSession(session)
	}
}

// probe asks each idle session whether it is still there, which also keeps it
// from being closed for idleness. One is out at a time, and the first is the one
// that was not used for the longest.
func (p *pool) probe() {
	p.mu.Lock()
	if p.ceiling < p.most { // whoever waits finds out whether there is room
		p.ceiling++
		p.wake(noSession)
	}
	n := len(p.idle)
	p.mu.Unlock()
	for range n {
		p.mu.Lock()
		if len(p.idle) == 0 {
			p.mu.Unlock()
			return
		}
		session := p.idle[0]
		p.idle = p.idle[1:]
		p.mu.Unlock()
		_, err := p.token.module.GetSessionInfo(session)
		p.give(session, err == nil)
	}
}

// writable makes sessions opened from now on read-write (force_rw_session).
func (p *pool) writable() {
	p.mu.Lock()
	was := p.rw
	p.rw = true
	p.mu.Unlock()
	if !was {
		p.discardIdle()
	}
}

// count is how many sessions are open.
func (p *pool) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}
