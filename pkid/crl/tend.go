package crl

import (
	"context"
	"errors"
	"time"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/store"
)

const (
	// tendEvery is the longest pause between two looks at all lists, and
	// tendSoonest the shortest.
	tendEvery   = time.Minute
	tendSoonest = time.Second
	// dropBatch is how many old entries are deleted in one update.
	dropBatch = 2000
)

// Run looks after the lists until ctx is done: now, and each minute, or sooner
// where a list has to be made sooner.
func (u *Updater) Run(ctx context.Context) {
	for {
		timer := time.NewTimer(u.Tend(ctx))
		select {
		case <-timer.C:
		case <-u.wake:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return
		case <-u.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// Tend makes the lists that are missing, must not lapse, or are to be made from
// time to time, drops what no list needs any more, and says how long from now
// that is to be done again. Of a mount that does not rebuild by itself, what is
// only out of date is left to the next reader.
func (u *Updater) Tend(ctx context.Context) time.Duration {
	pause := tendEvery
	for _, g := range u.cfg.Source.Groups() {
		due, rec, err := u.look(ctx, g)
		if err != nil {
			u.failed(ctx, "the CRLs of an issuer could not be looked at", g, err)
			continue
		}
		if due.delta || due.complete && u.mustBe(rec) {
			if _, err := u.cfg.Source.Signing(ctx, g); errors.As(err, new(CannotSign)) {
				continue
			}
			if u.wait(ctx, u.fly(g, need{}), buildTime) != nil {
				continue // it is in the log; the next look tries again
			}
			if _, rec, err = u.look(ctx, g); err != nil {
				continue
			}
		}
		pause = min(pause, u.nextLook(rec))
		if rec.Complete != nil {
			if err := u.drop(ctx, g, rec.Complete.Generation); err != nil {
				u.failed(ctx, "old CRL entries could not be dropped", g, err)
			}
		}
	}
	return max(pause, tendSoonest)
}

// mustBe tells whether a complete list is needed though nobody reads it.
func (u *Updater) mustBe(rec *record) bool {
	config := u.cfg.Source.CRLConfig()
	return config.AutoRebuild || rec.Complete == nil || rec.Complete.Disabled != config.Disable ||
		!u.cfg.Now().Before(renewal(rec.Complete, config))
}

// nextLook is the time until a list of the group is to be made.
func (u *Updater) nextLook(rec *record) time.Duration {
	config, now, pause := u.cfg.Source.CRLConfig(), u.cfg.Now(), tendEvery
	if rec.Complete != nil {
		pause = min(pause, renewal(rec.Complete, config).Sub(now))
	}
	if rec.Delta != nil && config.EnableDelta {
		pause = min(pause, renewal(rec.Delta, config).Sub(now), config.DeltaRebuildInterval.Duration)
	}
	return pause
}

// drop deletes the entries for deltas of generations before one, some at a time
// so that no update is long.
func (u *Updater) drop(ctx context.Context, g inventory.Group, generation uint64) error {
	for from := []byte(nil); ; {
		var next []byte
		err := u.cfg.Store.Update(ctx, func(tx store.Tx) error {
			var err error
			next, err = u.inventory.DropBefore(tx, g, generation, from, dropBatch)
			return err
		})
		if err != nil || next == nil {
			return err
		}
		from = next
	}
}

func (u *Updater) failed(ctx context.Context, what string, g inventory.Group, err error) {
	if ctx.Err() == nil && u.ctx.Err() == nil {
		u.cfg.Log.Error(what, "group", g, "error", err)
	}
}
