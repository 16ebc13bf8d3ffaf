package pebblestore

import (
	"bytes"
	"errors"
	"slices"

	"github.com/hsmpki/hsmpki/pkid/store"
)

var errReserved = errors.New("pebblestore: the key is empty or begins with 0")

// reserved tells whether key is the engine's own.
func reserved(key []byte) bool { return len(key) == 0 || key[0] == 0 }

type changeKind uint8

const (
	put changeKind = iota
	remove
	add
)

// change is what an update does to one key.
type change struct {
	kind  changeKind
	value []byte // of put
	delta int64  // of add
}

// over gives what a Get of the key answers after the change, when before it
// answered (value, err).
func (c change) over(value []byte, err error) ([]byte, error) {
	switch c.kind {
	case put:
		return c.value, nil
	case remove:
		return nil, store.ErrNotFound
	}
	n, err := countOf(value, err)
	if err != nil {
		return nil, err
	}
	if n, err = addCounts(n, c.delta); err != nil {
		return nil, err
	}
	return encodeCount(n), nil
}

// keyRange is the keys in [start, end); with open set, all from start on.
type keyRange struct {
	start, end string
	open       bool
}

func (r keyRange) contains(key string) bool {
	return key >= r.start && (r.open || key < r.end)
}

// tx implements store.Tx. It notes what was read of the snapshot, which is what
// must not have changed when its changes are committed.
type tx struct {
	reader
	points  []string
	ranges  []keyRange
	changes map[string]change
}

// Get implements store.Reader.
func (t *tx) Get(key []byte) ([]byte, error) {
	if t.snap == nil {
		return nil, errFinished
	}
	c, changed := t.changes[string(key)]
	if changed && c.kind != add {
		value, err := c.over(nil, nil)
		return bytes.Clone(value), err
	}
	t.points = append(t.points, string(key))
	value, err := t.reader.Get(key)
	if changed {
		return c.over(value, err)
	}
	return value, err
}

// Count implements store.Reader.
func (t *tx) Count(key []byte) (int64, error) {
	return countOf(t.Get(key))
}

// Scan implements store.Reader. What it has read is noted even if fn ends it
// with an error: the caller of Scan may go on.
func (t *tx) Scan(start, end []byte, fn func(key, value []byte) error) error {
	readTo, err := t.scan(start, end, t.changesIn(start, end), fn)
	if readTo == nil {
		readTo = end
	}
	t.ranges = append(t.ranges, keyRange{start: string(start), end: string(readTo), open: readTo == nil})
	return err
}

// changesIn gives the update's own changes in [start, end), in order of key.
func (t *tx) changesIn(start, end []byte) []own {
	within := keyRange{start: string(start), end: string(end), open: end == nil}
	var changes []own
	for key, c := range t.changes {
		if within.contains(key) {
			changes = append(changes, own{key, c})
		}
	}
	slices.SortFunc(changes, func(a, b own) int { return bytes.Compare([]byte(a.key), []byte(b.key)) })
	return changes
}

// Put implements store.Tx.
func (t *tx) Put(key, value []byte) error {
	return t.set(key, change{kind: put, value: append([]byte{}, value...)})
}

// Delete implements store.Tx.
func (t *tx) Delete(key []byte) error {
	return t.set(key, change{kind: remove})
}

// Add implements store.Tx.
func (t *tx) Add(key []byte, delta int64) error {
	c, changed := t.changes[string(key)]
	switch {
	case !changed:
		c = change{kind: add, delta: delta}
	case c.kind == add:
		sum, err := addCounts(c.delta, delta)
		if err != nil {
			return err
		}
		c.delta = sum
	default: // the update has said what the key holds, so the sum is known
		var before error
		if c.kind == remove {
			before = store.ErrNotFound
		}
		value, err := change{kind: add, delta: delta}.over(c.value, before)
		if err != nil {
			return err
		}
		c = change{kind: put, value: value}
	}
	return t.set(key, c)
}

func (t *tx) set(key []byte, c change) error {
	if t.snap == nil {
		return errFinished
	}
	if reserved(key) {
		return errReserved
	}
	if t.changes == nil {
		t.changes = make(map[string]change)
	}
	t.changes[string(key)] = c
	return nil
}
