// Package tidy removes from a mount what nobody needs any more: certificates
// and revocations that ended long ago, and expired issuers. It goes along the
// indexes by end, a page an update, so that memory is bounded and a run that
// was ended by a crash goes on where it was.
//
// Start with [Tidier.Start]; what a run does is in run.go.
package tidy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// CA is what a run asks of the mount's authority. ca.Authority meets it.
type CA interface {
	// DropExpiredIssuers deletes the issuers whose certificates ended before a
	// time, but not the default, and says how many.
	DropExpiredIssuers(ctx context.Context, before time.Time) (int, error)
	// IssuerIn gives the id of an issuer of a group, "" if there is none, and
	// whether there is an issuer with the id.
	IssuerIn(group inventory.Group, id string) (other string, exists bool)
	// Published is when the group's newest complete CRL was made, zero if there
	// is none. An entry has to be in one that is made after its certificate's
	// end (RFC 5280, section 3.3).
	Published(r store.Reader, group inventory.Group) (time.Time, error)
}

// Config is what a Tidier is made of.
type Config struct {
	UUID  string // the mount's
	Store store.Store
	CA    CA
	Now   func() time.Time
	Log   *slog.Logger
}

// Tidier tidies one mount, one run at a time.
type Tidier struct {
	cfg       Config
	space     store.Keyspace
	inventory inventory.Inventory

	ctx     context.Context // ends with Close
	close   context.CancelFunc
	working sync.WaitGroup

	mu     sync.Mutex
	status Status
	cancel context.CancelFunc // of the run under way
	auto   Auto
	wake   chan struct{} // has room for one: the schedule is to be looked at
}

// ErrRunning is returned by Start while a run is under way.
var ErrRunning = errors.New("tidy operation already in progress")

// Open reads what is known of the last run, goes on with it if it was under
// way, and keeps the schedule of auto-tidy until Close.
func Open(ctx context.Context, cfg Config) (*Tidier, error) {
	t := &Tidier{
		cfg: cfg, space: store.Of(cfg.UUID), inventory: inventory.Of(cfg.UUID),
		status: Status{State: Inactive}, auto: DefaultAuto(), wake: make(chan struct{}, 1),
	}
	err := cfg.Store.View(ctx, func(r store.Reader) error {
		return errors.Join(read(r, t.space.Tidy(), &t.status), read(r, t.space.AutoTidy(), &t.auto))
	})
	if err != nil {
		return nil, fmt.Errorf("tidy of %s: %w", cfg.UUID, err)
	}
	t.ctx, t.close = context.WithCancel(context.Background())
	switch t.status.State {
	case Running:
		cfg.Log.Info("going on with a tidy that was ended", "started", t.status.Started)
		t.launch()
	case Cancelling:
		t.status.State = Cancelled
	}
	t.working.Go(t.keepSchedule)
	return t, nil
}

// Close ends a run; the next Open goes on with it.
func (t *Tidier) Close() {
	t.close()
	t.working.Wait()
}

// Start begins a run. That it is running is durable, and to be seen in Status,
// when Start returns.
func (t *Tidier) Start(ctx context.Context, p Params) error { return t.start(ctx, p, false) }

func (t *Tidier) start(ctx context.Context, p Params, auto bool) error {
	if err := p.Check(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.status.Going() {
		return ErrRunning
	}
	next := Status{Params: p, State: Running, Auto: auto, Started: t.cfg.Now().UTC(), LastAutoTidyFinished: t.status.LastAutoTidyFinished}
	if err := t.save(ctx, &next); err != nil {
		return err
	}
	t.status = next
	t.launch()
	return nil
}

// launch starts the run that status tells of; t.mu is held, or nobody else
// knows t yet.
func (t *Tidier) launch() {
	ctx, cancel := context.WithCancel(t.ctx)
	t.cancel = cancel
	t.working.Go(func() {
		defer cancel()
		t.finish(t.run(ctx))
	})
}

// finish tells how a run ended. One that is ended by Close stays Running.
func (t *Tidier) finish(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx.Err() != nil {
		return
	}
	next := t.status
	next.Finished, next.Message = t.cfg.Now().UTC(), ""
	switch {
	case next.State == Cancelling:
		next.State = Cancelled
	case err != nil:
		next.State, next.Error = Failed, err.Error()
		t.cfg.Log.Error("a tidy failed", "error", err)
	default:
		next.State = Finished
	}
	if next.Auto {
		next.LastAutoTidyFinished = next.Finished
	}
	t.cfg.Log.Info("tidied", "state", string(next.State), "certificates", next.CertsDeleted, "revocations", next.RevocationsDeleted, "issuers", next.IssuersDeleted)
	if err := t.save(t.ctx, &next); err != nil {
		t.cfg.Log.Error("how a tidy ended could not be kept", "error", err)
	}
	t.status = next
	t.look()
}

func (t *Tidier) save(ctx context.Context, s *Status) error {
	return t.cfg.Store.Update(ctx, func(tx store.Tx) error { return write(tx, t.space.Tidy(), s) })
}

// Cancel ends the run under way after the page that it is at; false if there is
// none.
func (t *Tidier) Cancel() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.status.Going() {
		return false
	}
	t.status.State = Cancelling
	t.cancel()
	return true
}

// Status tells of the last run.
func (t *Tidier) Status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}

// Counts are how many certificates and revocations are stored.
func (t *Tidier) Counts(ctx context.Context) (certificates, revocations int64, err error) {
	err = t.cfg.Store.View(ctx, func(r store.Reader) error {
		var one, other error
		certificates, one = t.inventory.Count(r)
		revocations, other = t.inventory.RevokedCount(r)
		return errors.Join(one, other)
	})
	return certificates, revocations, err
}
