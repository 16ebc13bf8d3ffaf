package pebblestore

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// formatMajorVersion is the format of Pebble's own files. Raising it is a
// decision, not a by-product of a new Pebble: an older one cannot read what a
// newer format wrote.
const formatMajorVersion = pebble.FormatTableFormatV6

// options are Pebble's, for a store of some hundred thousand to some million
// values of about a kilobyte beside a process that should stay small.
func options(g *gate, lock *pebble.Lock, cacheSize int64, log *slog.Logger) *pebble.Options {
	logger := engineLog{log: log, fail: g.fail}
	opts := &pebble.Options{
		FS:                 g,
		Lock:               lock,
		Logger:             logger,
		FormatMajorVersion: formatMajorVersion,
		CacheSize:          cacheSize,
		// A memtable begins at 256 KiB and doubles up to this, so a quiet
		// store stays far below; four of them may wait to be flushed.
		MemTableSize:                8 << 20,
		MemTableStopWritesThreshold: 4,
		MaxOpenFiles:                500,
		// One compaction at a time, two when far behind: signing needs the
		// processors more.
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { g.fail(fmt.Errorf("flush or compaction: %w", err)) },
			DataCorruption:  func(info pebble.DataCorruptionInfo) { g.fail(fmt.Errorf("%s", info)) },
			WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
				log.Warn("storage is slower than what is written to it", "reason", info.Reason)
			},
		},
	}
	// Issuing asks for serials that are not there; a Bloom filter says so
	// without reading a block.
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return opts
}

// openPebble opens the database. Pebble panics, after it has cleaned up, where a
// sync of the directory fails.
func openPebble(path string, opts *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case error:
			err = fmt.Errorf("open %s: %w", path, p)
		default:
			err = fmt.Errorf("open %s: %v", path, p)
		}
	}()
	return pebble.Open(path, opts)
}

// engineLog is where Pebble writes its messages.
type engineLog struct {
	log  *slog.Logger
	fail func(error)
}

// Infof implements pebble.Logger.
func (l engineLog) Infof(format string, args ...any) {
	l.log.Debug("pebble: " + fmt.Sprintf(format, args...))
}

// Errorf implements pebble.Logger.
func (l engineLog) Errorf(format string, args ...any) {
	l.log.Warn("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger. Pebble calls it on two kinds of occasion. An
// error from the disk, met while it commits or writes its manifest: the error
// is among args, and Pebble hands it on to its caller when Fatalf returns, so
// the store turns read-only, the gate keeps what is half done from becoming
// more, and Fatalf returns. Or a broken invariant of Pebble's own: then its
// memory is not to be trusted for reading either, and the process ends with
// the reason; at the next start the log is replayed.
func (l engineLog) Fatalf(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			l.fail(fmt.Errorf("pebble: %s: %w", message, err))
			return
		}
	}
	l.log.Error("pebble: " + message)
	panic(errors.New("pebble: " + message))
}
