package tidy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// Auto is config/auto-tidy: runs by themselves.
type Auto struct {
	Enabled  bool
	Interval time.Duration // from the end of the last run of its kind
	// After a start the first run waits for a random time between these two,
	// so that not all mounts tidy at once.
	MinStartupBackoff, MaxStartupBackoff time.Duration
	// MaintainCounts and PublishCounts are Vault's; the counts are always kept
	// here, and shown by tidy-status if MaintainCounts is set.
	MaintainCounts, PublishCounts bool
	Params                        Params
}

// DefaultAuto is the configuration of a mount that has none.
func DefaultAuto() Auto {
	return Auto{Interval: 12 * time.Hour, MinStartupBackoff: 5 * time.Minute, MaxStartupBackoff: 15 * time.Minute, Params: Defaults()}
}

// Check refuses what is out of range or contradictory, naming it.
func (a *Auto) Check() error {
	switch {
	case a.Enabled && !a.Params.Anything():
		return errors.New("auto-tidy enabled but no tidy operations were requested: enable at least one tidy operation to be run (tidy_cert_store, tidy_revoked_certs, …)")
	case a.Interval < time.Second:
		return fmt.Errorf("interval_duration=%s: must be at least 1s", a.Interval)
	case a.MinStartupBackoff < 0 || a.MaxStartupBackoff < a.MinStartupBackoff:
		return errors.New("max_startup_backoff_duration must be at least min_startup_backoff_duration, and neither negative")
	case a.PublishCounts && !a.MaintainCounts:
		return errors.New("publish_stored_certificate_count_metrics needs maintain_stored_certificate_counts")
	}
	return a.Params.Check()
}

// Auto gives the configuration of auto-tidy.
func (t *Tidier) Auto() Auto {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.auto
}

// SetAuto changes the configuration of auto-tidy and gives it.
func (t *Tidier) SetAuto(ctx context.Context, change func(a *Auto)) (Auto, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := t.auto
	change(&next)
	if err := next.Check(); err != nil {
		return next, err
	}
	if err := t.cfg.Store.Update(ctx, func(tx store.Tx) error { return write(tx, t.space.AutoTidy(), &next) }); err != nil {
		return next, err
	}
	t.auto = next
	t.look()
	return next, nil
}

// look has the schedule looked at anew.
func (t *Tidier) look() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// keepSchedule starts runs until Close.
func (t *Tidier) keepSchedule() {
	opened, share := t.cfg.Now(), rand.Float64()
	for {
		due, waits := t.due(opened, share)
		if waits && !t.cfg.Now().Before(due) {
			if err := t.start(t.ctx, t.Auto().Params, true); err != nil && !errors.Is(err, ErrRunning) && t.ctx.Err() == nil {
				t.cfg.Log.Error("auto-tidy could not begin", "error", err)
			}
			due = t.cfg.Now().Add(time.Minute)
		}
		var timer <-chan time.Time // never, if there is nothing to wait for
		if waits {
			timer = time.After(max(time.Second, due.Sub(t.cfg.Now())))
		}
		select {
		case <-timer:
		case <-t.wake:
		case <-t.ctx.Done():
			return
		}
	}
}

// due is when the next run begins; false if none is to, or one is under way.
func (t *Tidier) due(opened time.Time, share float64) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.auto.Enabled || t.status.Going() {
		return time.Time{}, false
	}
	a := &t.auto
	first := opened.Add(a.MinStartupBackoff + time.Duration(share*float64(a.MaxStartupBackoff-a.MinStartupBackoff)))
	if next := t.status.LastAutoTidyFinished.Add(a.Interval); next.After(first) {
		return next, true
	}
	return first, true
}
