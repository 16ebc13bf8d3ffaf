// Package pebblestore keeps pkid's state in Pebble, an embedded LSM store, in
// one directory that one process uses.
//
// Pebble shows a write to readers before it is synced, and knows no
// transactions. This package adds both promises of [store.Store]. An update
// runs on its caller's goroutine against the published snapshot, and what it
// reads is noted (tx.go). The committer (committer.go) takes the updates that
// wait, lets those pass whose reads nothing committed since has touched
// (history.go), joins them into one batch (group.go) and has it written to
// Pebble's log with one sync; while that is under way the next group gathers.
// A group is published, as a snapshot taken right after it was applied, only
// when its sync is done, and only then are its callers answered. So nobody, in
// View or in Update, sees what a crash could take back. An update that was
// overtaken runs again, and after a few times alone.
//
// The first failure to write turns the store read-only (gate.go): reads go on
// from the last published snapshot until the process is restarted.
//
// The package knows nothing of what the keys and values mean. Start reading at
// [Store.Update].
package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/tracing"
)

const (
	defaultCacheSize = 32 << 20
	defaultMinFree   = 64 << 20
	// rerunsBeforeTurn is how often an update is run again beside others
	// before it is run alone.
	rerunsBeforeTurn = 4
)

// Config says where the state is and how much it may take.
type Config struct {
	// Path is the directory. It is made with mode 0700 where it is missing,
	// and brought to that mode where it is not.
	Path string
	// CacheSize bounds the cache of blocks read, in octets; default 32 MiB.
	// Beside it Pebble takes up to four memtables of 8 MiB under load.
	CacheSize int64
	// MinFree is the free space, in octets, below which updates are refused
	// with store.ErrDiskFull; default 64 MiB, negative: never. It is what
	// Pebble needs to bring what it has in memory to the disk.
	MinFree int64
	// Log gets what an operator should know, and Pebble's own messages at
	// level debug. Default: none.
	Log *slog.Logger
	// FS is the file system; default the machine's. With another one the
	// directory's mode and owner are not looked at.
	FS vfs.FS
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Store implements [store.Store].
type Store struct {
	db        *pebble.DB
	lock      *pebble.Lock
	gate      *gate
	space     *space
	committer *committer
	published atomic.Pointer[snapshot]

	mu      sync.Mutex
	closed  bool
	users   sync.WaitGroup // calls under way
	closeOn sync.Once
	closeOf error
}

var _ store.Store = (*Store)(nil)

// Open opens the state at cfg.Path, and makes it where there is none. A
// directory in use is refused with [ErrInUse], one of a newer format with an
// error that says so.
func Open(cfg Config) (_ *Store, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("pebblestore: %w", err)
		}
	}()
	if cfg.Path == "" {
		return nil, errors.New("no path")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.CacheSize == 0 {
		cfg.CacheSize = defaultCacheSize
	}
	if cfg.MinFree == 0 {
		cfg.MinFree = defaultMinFree
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.FS == nil {
		cfg.FS = vfs.Default
		err = prepareDirectory(cfg.Path, cfg.Log)
	} else {
		err = cfg.FS.MkdirAll(cfg.Path, 0o700)
	}
	if err != nil {
		return nil, err
	}
	return open(cfg)
}

func open(cfg Config) (*Store, error) {
	s := &Store{space: &space{
		fs: cfg.FS, path: cfg.Path, floor: uint64(max(cfg.MinFree, 0)), now: cfg.Now, log: cfg.Log,
	}}
	s.gate = newGate(cfg.FS, func(cause error) {
		cfg.Log.Error("storage is read-only after a failure to write; restart pkid when the cause is gone",
			"path", cfg.Path, "cause", cause)
	})
	lock, err := lockDirectory(cfg.Path, s.gate)
	if err != nil {
		return nil, err
	}
	s.lock = lock
	s.db, err = openPebble(cfg.Path, options(s.gate, lock, cfg.CacheSize, cfg.Log))
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := checkFormat(s.db, cfg.Path); err != nil {
		return nil, errors.Join(err, s.db.Close(), lock.Close())
	}
	if err := s.gate.arm(); err != nil {
		return nil, errors.Join(err, s.db.Close(), lock.Close())
	}
	s.published.Store(newSnapshot(s.db, 0))
	s.committer = startCommitter(s.db, s.gate, func(snap *snapshot) {
		s.published.Swap(snap).release()
	})
	return s, nil
}

// View implements [store.Store]. It reads the newest durable state; a long one
// keeps Pebble from dropping what was overwritten since.
func (s *Store) View(ctx context.Context, fn func(store.Reader) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.users.Done()
	if err := ctx.Err(); err != nil {
		return err
	}
	snap := s.acquire()
	defer snap.release()
	r := &reader{ctx: ctx, snap: snap}
	defer func() { r.snap = nil }()
	return fn(r)
}

// Update implements [store.Store]. An update that loses against others more
// than a few times runs alone, while the others wait. An update that ends with
// store.ErrReadOnly may be found when the store is opened again, one that ends
// with any other error is not.
func (s *Store) Update(ctx context.Context, fn func(store.Tx) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.users.Done()
	ctx, span := tracing.Start(ctx, "store")
	defer span.End()
	for run := 0; run <= rerunsBeforeTurn; run++ {
		if err := s.mayUpdate(ctx); err != nil {
			return err
		}
		r, err := s.run(ctx, fn)
		if err != nil || r == nil {
			return err
		}
		err = s.committer.commit(ctx, r)
		if !errors.Is(err, errConflict) {
			return err
		}
	}
	var failed error
	err := s.committer.runAlone(ctx, func() *request {
		var r *request
		r, failed = s.run(ctx, fn)
		return r
	})
	if failed != nil {
		return failed
	}
	return err
}

// run runs fn once and gives what is to be committed, nil if fn wrote nothing:
// then it has read one consistent state, and there is nothing to check.
func (s *Store) run(ctx context.Context, fn func(store.Tx) error) (*request, error) {
	snap := s.acquire()
	defer snap.release()
	t := &tx{reader: reader{ctx: ctx, snap: snap}}
	defer func() { t.snap = nil }()
	if err := fn(t); err != nil {
		return nil, err
	}
	if len(t.changes) == 0 {
		return nil, nil
	}
	return &request{seq: snap.seq, points: t.points, ranges: t.ranges, changes: t.changes}, nil
}

// Writable implements [store.Store].
func (s *Store) Writable() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.users.Done()
	return s.mayUpdate(context.Background())
}

func (s *Store) mayUpdate(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if cause := s.gate.failure(); cause != nil {
		return readOnly(cause)
	}
	return s.space.check()
}

func readOnly(cause error) error {
	return fmt.Errorf("%w: %w", store.ErrReadOnly, cause)
}

func (s *Store) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	s.users.Add(1)
	return nil
}

// Close implements [store.Store]. It waits for each View and Update under way.
// After a failure to write it leaves Pebble, which can write no more and may
// hold any of its locks, and the lock on the directory, to the end of the
// process; what was acknowledged is on disk already.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.closeOn.Do(func() { s.closeOf = s.close() })
	return s.closeOf
}

func (s *Store) close() error {
	s.users.Wait()
	close(s.committer.stop)
	select {
	case <-s.committer.finished:
	case <-s.gate.failed: // it may never finish
	}
	if s.gate.failure() != nil {
		return nil
	}
	s.published.Load().release()
	closed := make(chan error, 1)
	go func() { closed <- s.db.Close() }()
	select {
	case <-s.gate.failed: // while closing; what was acknowledged is safe
		return fmt.Errorf("pebblestore: close: %w", s.gate.failure())
	case err := <-closed:
		return errors.Join(err, s.lock.Close())
	}
}
