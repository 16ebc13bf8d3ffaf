package pebblestore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hsmpki/hsmpki/pkid/store"
)

var errFinished = errors.New("pebblestore: used after the function it was given to returned")

// snapshot is one durable state. It is open as long as it is the published one
// or somebody reads it.
type snapshot struct {
	*pebble.Snapshot
	seq  uint64 // of the last group that it shows
	refs atomic.Int64
}

func newSnapshot(db *pebble.DB, seq uint64) *snapshot {
	s := &snapshot{Snapshot: db.NewSnapshot(), seq: seq}
	s.refs.Store(1) // the publisher's
	return s
}

// acquire takes the published snapshot to read it. It can lose a race only
// against a publication, and then there is a newer one.
func (s *Store) acquire() *snapshot {
	for {
		snap := s.published.Load()
		for n := snap.refs.Load(); n > 0; n = snap.refs.Load() {
			if snap.refs.CompareAndSwap(n, n+1) {
				return snap
			}
		}
	}
}

func (s *snapshot) release() {
	if s.refs.Add(-1) == 0 {
		_ = s.Snapshot.Close() // it has no failure
	}
}

// reader implements store.Reader on a snapshot.
type reader struct {
	ctx  context.Context
	snap *snapshot // nil once the function it was given to has returned
}

// Get implements store.Reader.
func (r *reader) Get(key []byte) ([]byte, error) {
	if r.snap == nil {
		return nil, errFinished
	}
	if reserved(key) {
		return nil, errReserved
	}
	value, closer, err := r.snap.Get(key)
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			return nil, store.ErrNotFound
		}
		return nil, fmt.Errorf("pebblestore: get %q: %w", key, err)
	}
	kept := append(make([]byte, 0, len(value)), value...)
	return kept, closer.Close()
}

// Count implements store.Reader.
func (r *reader) Count(key []byte) (int64, error) {
	return countOf(r.Get(key))
}

// Scan implements store.Reader.
func (r *reader) Scan(start, end []byte, fn func(key, value []byte) error) error {
	_, err := r.scan(start, end, nil, fn)
	return err
}

// A count is stored as eight octets, big-endian, two's complement.
func encodeCount(n int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(n))
}

func decodeCount(value []byte) (int64, error) {
	if len(value) != 8 {
		return 0, errors.New("pebblestore: the key holds a value, not a count")
	}
	return int64(binary.BigEndian.Uint64(value)), nil
}

// countOf turns what Get answered into a count; no key is 0.
func countOf(value []byte, err error) (int64, error) {
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return decodeCount(value)
}

func addCounts(a, b int64) (int64, error) {
	if (b > 0 && a > math.MaxInt64-b) || (b < 0 && a < math.MinInt64-b) {
		return 0, errors.New("pebblestore: the count overflows")
	}
	return a + b, nil
}
