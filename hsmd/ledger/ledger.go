// Package ledger remembers what hsmd has signed, so that whoever asks for
// signatures cannot take back what an earlier one said. Assume that he is an
// attacker, or a CA that was restored from an old backup:
//
//   - a serial number is never signed for two certificates;
//   - what a signed CRL has revoked is in each later complete CRL until its
//     certificate expires, and in each delta CRL whose base came before;
//   - an OCSP response says "good" of issued serial numbers only, and never of
//     one that a signed CRL has revoked;
//   - the CRL numbers of an issuer's name only grow, those of complete and delta
//     CRLs in one sequence (RFC 5280, section 5.2.4).
//
// All of it goes by an [Issuer], a Name and a key pair, but for CRL numbers,
// which go by the Name alone. Whatever the rules refuse is a [Refusal].
//
// What is judged is remembered before it is signed, not after: a signature that
// then fails has used up its serial or CRL number, for it may exist all the same.
// The same bytes may be signed again at any time.
//
// The package reads no DER but Names, knows no keys and has no clock. Start with
// [Ledger.Issue], and with [List] for what a long CRL needs.
package ledger

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Config is what a Ledger is made of.
type Config struct {
	// Dir is a directory of the ledger's own; it is made with mode 0700.
	Dir string
	Log *slog.Logger
	// Replayed says that the log of signatures has each claim too, and that
	// what a crash took is replayed from it (see [Ledger.Replay]). Without it
	// each claim is synced.
	Replayed bool
	// FS is the file system; default the machine's.
	FS vfs.FS
}

// Sum is the SHA-256 of the bytes to be signed.
type Sum = [32]byte

// Ledger is one that is open. Its methods may be called by many goroutines.
type Ledger struct {
	db    *pebble.DB
	sync  *pebble.WriteOptions
	space *space
	fresh bool
	state state

	stripes [64]sync.Mutex // of issued serials: what is looked up is written before another looks
	lists   sync.Mutex     // held while a CRL is judged and written
	large   chan struct{}  // held by the one list that may have many new serials
	known   sync.Map       // issuers, as they are spelled, whose index is written
	closing sync.Once
	indexed atomic.Int64 // how many these are
}

// Open opens the ledger in cfg.Dir, and makes it where there is none.
func Open(cfg Config) (*Ledger, error) {
	l, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("ledger %s: %w", cfg.Dir, err)
	}
	return l, nil
}

func open(cfg Config) (*Ledger, error) {
	if cfg.Dir == "" || cfg.Log == nil {
		return nil, errors.New("Config lacks Dir or Log")
	}
	if cfg.FS == nil {
		cfg.FS = vfs.Default
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			return nil, err
		}
	}
	l := &Ledger{sync: pebble.Sync, large: make(chan struct{}, 1), space: &space{fs: cfg.FS, dir: cfg.Dir}}
	if cfg.Replayed {
		l.sync = pebble.NoSync
	}
	var err error
	if l.db, err = openPebble(cfg.Dir, options(cfg.FS, cfg.Log, &l.state)); err != nil {
		return nil, err
	}
	if l.fresh, err = checkFormat(l.db); err != nil {
		return nil, errors.Join(err, l.db.Close())
	}
	return l, nil
}

// Fresh reports whether this Open has made the ledger: then it knows nothing of
// what was signed before.
func (l *Ledger) Fresh() bool { return l.fresh }

// Close closes the ledger; more than once it does nothing. After a failure to
// write it does not either: Pebble may hold any of its locks until the process
// ends.
func (l *Ledger) Close() (err error) {
	l.closing.Do(func() {
		if l.state.failure() == nil {
			err = l.db.Close()
		}
	})
	return err
}

// get gives a copy of a value, nil where there is none.
func (l *Ledger) get(key []byte) ([]byte, error) {
	value, closer, err := l.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return append(make([]byte, 0, len(value)), value...), nil
}

// writable says whether there is room for a claim. A write that fails would end
// all writing until hsmd is started again; this refuses before.
func (l *Ledger) writable(floor uint64) error {
	if err := l.state.failure(); err != nil {
		return fmt.Errorf("the ledger is read-only after a failure: %w", err)
	}
	return l.space.check(floor)
}

// commit writes a batch. Of some failures Pebble tells its Logger alone.
func (l *Ledger) commit(b *pebble.Batch, sync *pebble.WriteOptions) error {
	err := l.db.Apply(b, sync)
	if err == nil {
		err = l.state.failure()
	}
	if err != nil {
		return fmt.Errorf("writing the ledger: %w", err)
	}
	return b.Close()
}

// Octets is how many it takes on the disk.
func (l *Ledger) Octets() uint64 { return l.db.Metrics().DiskSpaceUsage() }
