package crl

import (
	"context"
	"errors"
	"time"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// patience is how long a reader waits for a list that covers what there is.
const patience = 5 * time.Second

// ErrNone is returned for a list that there is not.
var ErrNone = errors.New("there is no such CRL")

var errSlow = errors.New("the CRL is being made, and takes long")

// Handle is a list that can be read.
type Handle struct {
	u    *Updater
	g    inventory.Group
	kind Kind
}

// Latest waits until a group's list covers what was revoked when it was called,
// for at most five seconds, and then, as after a failure, makes do with the one
// before if that is good. Without auto_rebuild all that is durable is covered;
// with it, what was when the list was last made. It is ErrNone for a delta list
// where there are none.
func (u *Updater) Latest(ctx context.Context, g inventory.Group, kind Kind) (*Handle, error) {
	if kind == Delta && !u.cfg.Source.CRLConfig().EnableDelta {
		return nil, ErrNone
	}
	due, _, err := u.look(ctx, g)
	if err != nil {
		return nil, err
	}
	h := &Handle{u, g, kind}
	if !due.of(kind) {
		return h, nil
	}
	failed := u.builder(g).resting(u.cfg.Now())
	if failed == nil {
		failed = u.wait(ctx, u.fly(g, need{}), patience)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	_, rec, err := u.look(ctx, g)
	if err != nil {
		return nil, err
	}
	switch l := rec.of(kind); {
	case l != nil && u.cfg.Now().Before(l.NextUpdate):
		return h, nil
	case failed == nil:
		return nil, ErrNone // config/crl has changed meanwhile
	}
	return nil, failed
}

// look gives what is out of date and the record.
func (u *Updater) look(ctx context.Context, g inventory.Group) (due need, rec *record, err error) {
	err = u.cfg.Store.View(ctx, func(r store.Reader) error {
		due, rec, err = u.need(r, g)
		return err
	})
	return due, rec, err
}

func (u *Updater) wait(ctx context.Context, f *flight, most time.Duration) error {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-f.done:
		return f.err
	case <-timer.C:
		return errSlow
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Rotate makes a group's list anew, whatever there is, and with a complete one
// the delta that follows it.
func (u *Updater) Rotate(ctx context.Context, g inventory.Group, kind Kind) error {
	return u.wait(ctx, u.fly(g, need{complete: kind == Complete, delta: kind == Delta}), buildTime)
}

// First makes a group's complete list if it is out of date.
func (u *Updater) First(ctx context.Context, g inventory.Group) error {
	return u.wait(ctx, u.fly(g, need{}), patience)
}

// Published is when the group's newest complete list was made, zero if there is
// none.
func (u *Updater) Published(r store.Reader, g inventory.Group) (time.Time, error) {
	rec, err := u.record(r, g)
	if err != nil || rec.Complete == nil {
		return time.Time{}, err
	}
	return rec.Complete.ThisUpdate, nil
}
