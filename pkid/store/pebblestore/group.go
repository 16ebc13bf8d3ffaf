package pebblestore

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// group is the updates that are made durable together. Their order in the group
// is their order in the store: none has read what another one writes, or it is
// among the losers.
type group struct {
	seq     uint64
	changes map[string][]byte // what each key holds afterwards, nil for nothing
	size    int               // octets of keys and values
	winners []*request
	losers  []*request // to run again, or failed by themselves

	batch *pebble.Batch // nil for a group of losers only
	snap  *snapshot     // shows the group
}

// join adds the changes of r, all or none: counts are resolved before anything
// is changed.
func (g *group) join(db *pebble.DB, r *request) error {
	var counts map[string][]byte
	for key, c := range r.changes {
		if c.kind != add {
			continue
		}
		value, err := c.over(g.get(db, key))
		if err != nil {
			return fmt.Errorf("count %q: %w", key, err)
		}
		if counts == nil {
			counts = make(map[string][]byte)
		}
		counts[key] = value
	}
	for key, c := range r.changes {
		switch c.kind {
		case put:
			g.set(key, c.value)
		case remove:
			g.set(key, nil)
		case add:
			g.set(key, counts[key])
		}
	}
	g.winners = append(g.winners, r)
	return nil
}

func (g *group) set(key string, value []byte) {
	if g.changes == nil {
		g.changes = make(map[string][]byte)
	}
	g.changes[key] = value
	g.size += len(key) + len(value)
}

// get reads key as it is after what has joined so far.
func (g *group) get(db *pebble.DB, key string) ([]byte, error) {
	if value, ok := g.changes[key]; ok {
		if value == nil {
			return nil, store.ErrNotFound
		}
		return value, nil
	}
	value, closer, err := db.Get([]byte(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, store.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return append([]byte{}, value...), closer.Close()
}

// apply hands the group to Pebble, which begins to write it to its log, and
// takes the snapshot that will be published once that is synced.
func (g *group) apply(db *pebble.DB) error {
	g.batch = db.NewBatchWithSize(g.size + 16*len(g.changes) + 64)
	for key, value := range g.changes {
		var err error
		if value == nil {
			err = g.batch.Delete([]byte(key), nil)
		} else {
			err = g.batch.Set([]byte(key), value, nil)
		}
		if err != nil {
			return err
		}
	}
	if err := db.ApplyNoSyncWait(g.batch, pebble.Sync); err != nil {
		return err
	}
	g.snap = newSnapshot(db, g.seq)
	return nil
}
