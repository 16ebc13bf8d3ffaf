package crl

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/wire"
)

// buildTime bounds the making of one list.
const buildTime = 2 * time.Minute

// builder makes the lists of one group, one flight at a time. Whoever asks
// while one is under way gets the next, which begins after he has asked and so
// covers what was durable then; all who ask meanwhile share it.
type builder struct {
	mu      sync.Mutex
	running *flight
	next    *flight // nil, or waits for running to end

	failed  error // of the last flight
	again   time.Time
	failing time.Duration // how long readers were kept off after it
}

// flight is one look at what is to be made, and its making.
type flight struct {
	force need // lists to be made although they are up to date
	done  chan struct{}
	err   error // once done is closed
}

func (u *Updater) builder(g inventory.Group) *builder {
	u.mu.Lock()
	defer u.mu.Unlock()
	b := u.builders[g]
	if b == nil {
		b = new(builder)
		u.builders[g] = b
	}
	return b
}

// fly gives a flight that begins after this call.
func (u *Updater) fly(g inventory.Group, force need) *flight {
	b := u.builder(g)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = &flight{done: make(chan struct{})}
	}
	f := b.next
	f.force.complete = f.force.complete || force.complete
	f.force.delta = f.force.delta || force.delta
	if b.running == nil {
		u.launch(g, b)
	}
	return f
}

// launch lets the next flight begin; b.mu is held.
func (u *Updater) launch(g inventory.Group, b *builder) {
	f := b.next
	b.running, b.next = f, nil
	u.mu.Lock()
	closed := u.closed
	if !closed {
		u.work.Add(1)
	}
	u.mu.Unlock()
	if closed {
		f.err = context.Canceled
		close(f.done)
		b.running = nil
		return
	}
	go func() {
		defer u.work.Done()
		switch f.err = u.run(g, f.force); {
		case f.err == nil || u.ctx.Err() != nil:
		case errors.As(f.err, new(CannotSign)):
			u.cfg.Log.Debug("no CRL of who cannot sign one", "group", g, "reason", f.err)
		case errors.Is(f.err, wire.Pending):
			u.cfg.Log.Info("a CRL waits for approval", "group", g, "reason", f.err)
		default:
			u.cfg.Log.Error("a CRL could not be made", "group", g, "error", f.err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		// Before anybody hears of a failure: who asks again then is kept off.
		b.landed(f.err, u.cfg.Now())
		close(f.done)
		b.running = nil
		if b.next != nil {
			u.launch(g, b)
		}
	}()
}

// Readers are anybody: after a failure they are kept off for a while, a longer
// one each time, so that they cannot have what fails tried without end.
const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

func (b *builder) landed(err error, now time.Time) {
	b.failed = err
	if err == nil {
		b.failing, b.again = 0, time.Time{}
		return
	}
	b.failing = min(max(2*b.failing, firstPause), longestPause)
	b.again = now.Add(b.failing)
}

// resting gives the error after which readers are kept off, nil if they are
// not.
func (b *builder) resting(now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(b.again) {
		return b.failed
	}
	return nil
}

// run looks what is out of date, or is asked for all the same, and makes it. A
// delta comes after the complete list that it is based on.
func (u *Updater) run(g inventory.Group, force need) error {
	ctx, cancel := context.WithTimeout(u.ctx, buildTime)
	defer cancel()
	for _, kind := range []Kind{Complete, Delta} {
		var wanted need
		err := u.cfg.Store.View(ctx, func(r store.Reader) error {
			var err error
			wanted, _, err = u.need(r, g)
			return err
		})
		if err != nil {
			return err
		}
		if !wanted.of(kind) && !force.of(kind) {
			continue
		}
		if err := u.build(ctx, g, kind); err != nil {
			return err
		}
	}
	return nil
}
