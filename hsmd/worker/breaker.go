package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// breaker keeps requests off a token that is away, so that they are told at once
// instead of waiting one after the other. Now and then one of them is let
// through to see whether the token is back.
//
// It is opened by what says that the token is away, after everything else was
// tried. A refused PIN, an unknown key or an invalid request are a token's
// answers, and a sign of life.
type breaker struct {
	token string // as definitions select it
	log   *slog.Logger

	open atomic.Bool // read on the way of each request

	mu      sync.Mutex
	silent  map[string]bool // the keys for which the token did not answer, by handle
	probing bool            // a request for one of them is on its way
	pause   time.Duration
	until   time.Time // when the next may go
	since   time.Time
	fault   *wire.Error
}

// The breaker is open for firstPause at first, and twice as long each time, up
// to longestPause.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 5 * time.Second
)

// enter lets a request for a key through, or says when to come again. A request
// that is let through says how it went, with leave. A key for which the token
// has not failed to answer is let through while others wait: what is broken may
// be the others.
func (b *breaker) enter(key string) error {
	if !b.open.Load() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.silent[key] {
		return nil
	}
	wait := time.Until(b.until)
	if b.probing || wait > 0 {
		return &wire.Error{Code: wire.Unavailable, RetryAfter: max(wait, firstPause),
			Message: fmt.Sprintf("token with %s is away since %s and not asked now: %s", b.token, b.since.UTC().Format(time.RFC3339), b.fault.Message)}
	}
	b.probing = true
	return nil
}

// leave learns from a request's end.
func (b *breaker) leave(ctx context.Context, key string, err error) {
	if b.open.Load() || err != nil {
		b.learn(ctx, key, err)
	}
}

// release ends a request that says nothing about the token.
func (b *breaker) release(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.silent[key] {
		b.probing = false
	}
}

// triedFor reports whether the token has just been found away, and a request for a
// key that did not find it so is not the one to look again.
func (b *breaker) triedFor(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open.Load() && !(b.probing && b.silent[key]) && time.Now().Before(b.until)
}

// forget drops a key that is defined no more.
func (b *breaker) forget(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.silent[key] {
		b.probing = false // the request may have been for this one
	}
	if delete(b.silent, key); len(b.silent) == 0 {
		b.open.Store(false)
	}
}

// isSilent reports whether the token did not answer for a key.
func (b *breaker) isSilent(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.silent[key]
}

func (b *breaker) learn(ctx context.Context, key string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.silent[key]
	if was {
		b.probing = false
	}
	switch {
	case away(ctx, err):
		b.fault = wire.AsError(err)
		b.silent[key] = true
		switch now := time.Now(); {
		case !b.open.Load():
			b.since, b.pause, b.until = now, firstPause, now.Add(firstPause)
			b.open.Store(true)
			b.log.Warn("a token is away", "token", b.token, "error", b.fault.Message)
		case now.Before(b.until): // it was under way when that opened, and says nothing new
		default:
			if was {
				b.pause = min(2*b.pause, longestPause)
			}
			b.until = now.Add(b.pause)
		}
	case wire.GaveUp(ctx) && err != nil || errors.Is(err, wire.Busy):
		// The token said nothing.
	case was:
		// So it may answer for the others again.
		clear(b.silent)
		b.open.Store(false)
		b.log.Info("a token is back", "token", b.token, "after", time.Since(b.since).Round(time.Millisecond).String())
		b.fault = nil
	}
}

// away reports whether a failure says that the token, or what is before it, is
// away.
func away(ctx context.Context, err error) bool {
	return !wire.GaveUp(ctx) && errors.Is(err, wire.Unavailable) && !errors.Is(err, errClosed)
}

// status is the breaker as a status shows it, nil where there is nothing to say.
func (b *breaker) status() *wire.BreakerStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open.Load() {
		return nil
	}
	state := "open"
	if b.probing || time.Now().After(b.until) {
		state = "half-open"
	}
	return &wire.BreakerStatus{Token: b.token, State: state, Since: b.since.Unix(), Fault: wire.FaultOf(b.fault)}
}
