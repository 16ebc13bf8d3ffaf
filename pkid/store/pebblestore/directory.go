package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// format is the number of this package's own format: keys that begin with 0 for
// the engine, counts as eight octets. It only moves forward.
const format = 1

// formatKey is where the number is kept. (The empty key would do, but Pebble
// v2.1.7 panics when that comes to lie alone in a block of a table.)
var formatKey = []byte("\x00format")

// ErrInUse is returned by Open for a directory that another process, or another
// Store of this one, holds open.
var ErrInUse = errors.New("another pkid uses this state")

// prepareDirectory makes path, or checks that it is ours and closes it to
// others: certificates are public, what else is kept here is not.
func prepareDirectory(path string, log *slog.Logger) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if owner := int(info.Sys().(*syscall.Stat_t).Uid); owner != os.Geteuid() {
		return fmt.Errorf("%s belongs to uid %d, this process is uid %d", path, owner, os.Geteuid())
	}
	if mode := info.Mode().Perm(); mode != 0o700 {
		if err := os.Chmod(path, 0o700); err != nil {
			return err
		}
		log.Warn("storage directory was open to others; closed it", "path", path, "mode", mode.String())
	}
	return nil
}

// lockDirectory holds the state against a second process.
func lockDirectory(path string, fs vfs.FS) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(path, fs)
	if err == nil {
		return lock, nil
	}
	// fcntl says EAGAIN for another process; within one, Pebble has an error
	// without a number.
	if _, numbered := errors.AsType[syscall.Errno](err); errors.Is(err, syscall.EAGAIN) || !numbered {
		return nil, fmt.Errorf("%s: %w", path, ErrInUse)
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// checkFormat writes the format number into a new store and refuses a store
// whose format is unknown.
func checkFormat(db *pebble.DB, path string) error {
	value, closer, err := db.Get(formatKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return writeFormat(db, path)
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	n, width := binary.Uvarint(value)
	if width != len(value) || n == 0 {
		return fmt.Errorf("%s: the format number is broken (%x)", path, value)
	}
	if n > format {
		return fmt.Errorf("%s: format %d is of a newer pkid, this one knows up to %d", path, n, format)
	}
	return nil
}

// writeFormat is synced before anything else is written, so a store without the
// number is empty, or was made by something else.
func writeFormat(db *pebble.DB, path string) error {
	it, err := db.NewIter(nil)
	if err != nil {
		return err
	}
	empty := !it.First()
	if err := it.Close(); err != nil {
		return err
	}
	if !empty {
		return fmt.Errorf("%s: a Pebble store, but not pkid's: it has no format number", path)
	}
	return db.Set(formatKey, binary.AppendUvarint(nil, format), pebble.Sync)
}
