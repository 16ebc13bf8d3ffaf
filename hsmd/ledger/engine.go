package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// format is the number of what keyspace.go says; it only moves forward.
const format = 1

// options are Pebble's, for ten million small keys beside a process that should
// stay small.
func options(fs vfs.FS, log *slog.Logger, s *state) *pebble.Options {
	opts := &pebble.Options{
		FS:                 fs,
		Logger:             engineLog{log, s},
		FormatMajorVersion: pebble.FormatTableFormatV6,
		CacheSize:          24 << 20, // ten million keys have 12 MiB of filters
		MemTableSize:       4 << 20,
		MaxOpenFiles:       200,
		// Signing needs the processors more.
		CompactionConcurrencyRange: func() (int, int) { return 1, 1 },
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { s.fail(err) },
			DataCorruption:  func(info pebble.DataCorruptionInfo) { s.fail(fmt.Errorf("%s", info)) },
		},
	}
	// A new serial number is not there; a Bloom filter says so without reading a
	// block.
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return opts
}

// openPebble opens the database. Pebble panics where a sync of the directory
// fails.
func openPebble(dir string, opts *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return pebble.Open(dir, opts)
}

// state is what has failed, if anything has.
type state struct {
	mu    sync.Mutex
	cause error
}

func (s *state) fail(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		s.cause = cause
	}
}

func (s *state) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// engineLog is where Pebble writes its messages.
type engineLog struct {
	log   *slog.Logger
	state *state
}

// Infof implements pebble.Logger.
func (l engineLog) Infof(format string, args ...any) {
	l.log.Debug("ledger: pebble: " + fmt.Sprintf(format, args...))
}

// Errorf implements pebble.Logger.
func (l engineLog) Errorf(format string, args ...any) {
	l.log.Warn("ledger: pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger. A failure of the disk comes with an error,
// which Pebble hands to its caller as well when this returns: nothing is claimed
// any more. Without one an invariant of Pebble's is broken, and the process ends.
func (l engineLog) Fatalf(format string, args ...any) {
	message := "ledger: pebble: " + fmt.Sprintf(format, args...)
	l.log.Error(message)
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			l.state.fail(err)
			return
		}
	}
	panic(errors.New(message))
}

// checkFormat writes the format number into a new ledger, and refuses one that
// it cannot read.
func checkFormat(db *pebble.DB) (fresh bool, err error) {
	value, closer, err := db.Get(formatKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return true, db.Set(formatKey, binary.AppendUvarint(nil, format), pebble.Sync)
	}
	if err != nil {
		return false, err
	}
	defer closer.Close()
	n, width := binary.Uvarint(value)
	if width != len(value) || n == 0 {
		return false, fmt.Errorf("its format number is broken (%x)", value)
	}
	if n > format {
		return false, fmt.Errorf("was written by a newer hsmd: its format is %d, this hsmd reads up to %d", n, format)
	}
	return false, nil
}

// Free space below which nothing is claimed. Certificates stop first, so that
// there is room for the CRLs that revoke them. The log of signatures keeps back
// 16 MiB for these, most likely on the same disk; the end is for a memtable.
const (
	floorIssue = 64 << 20
	floorList  = 6 << 20
)

// space looks how much is free, before a write fails.
type space struct {
	fs  vfs.FS
	dir string
}

func (s *space) check(floor uint64) error {
	usage, err := s.fs.GetDiskUsage(s.dir)
	switch {
	case errors.Is(err, vfs.ErrUnsupported):
		return nil
	case err != nil:
		return fmt.Errorf("cannot tell how much is free at %s: %w", s.dir, err)
	case usage.AvailBytes < floor:
		return fmt.Errorf("%d MiB are free at %s, below %d MiB this is not signed", usage.AvailBytes>>20, s.dir, floor>>20)
	}
	return nil
}
