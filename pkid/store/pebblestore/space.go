package pebblestore

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// spaceCheckEvery is how long an answer of the file system is believed.
const spaceCheckEvery = time.Second

// space watches the free space, so that updates are refused before a write
// fails: a refused update leaves the store as it was, a failed write ends all
// writing until it is opened anew.
type space struct {
	fs    vfs.FS
	path  string
	floor uint64 // octets; 0: not watched
	now   func() time.Time
	log   *slog.Logger

	mu      sync.Mutex
	checked time.Time
	err     error
}

// check is nil, or ErrDiskFull. A file system that cannot say how much is free
// is taken for one with room.
func (s *space) check() error {
	if s.floor == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if !s.checked.IsZero() && now.Sub(s.checked) < spaceCheckEvery {
		return s.err
	}
	before := s.err
	s.checked, s.err = now, s.measure()
	// Told when it changes, and not of each update: the log may be on that disk.
	switch {
	case s.err != nil && before == nil:
		s.log.Error("updates are refused until there is space", "path", s.path, "error", s.err)
	case s.err == nil && before != nil:
		s.log.Info("there is space again", "path", s.path)
	}
	return s.err
}

func (s *space) measure() error {
	usage, err := s.fs.GetDiskUsage(s.path)
	switch {
	case errors.Is(err, vfs.ErrUnsupported):
	case err != nil:
		return fmt.Errorf("%w: cannot tell how much is free at %s: %w", store.ErrDiskFull, s.path, err)
	case usage.AvailBytes < s.floor:
		return fmt.Errorf("%w: %d MiB free at %s, updates stop below %d MiB",
			store.ErrDiskFull, usage.AvailBytes>>20, s.path, s.floor>>20)
	}
	return nil
}
