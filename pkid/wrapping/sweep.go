package wrapping

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// page is how many answers one update of a sweep deletes, and sweepEvery how
// often what has ended is looked for.
const (
	page       = 256
	sweepEvery = time.Minute
)

// Run deletes what has ended, until ctx is done.
func (s *Store) Run(ctx context.Context) {
	each := time.NewTicker(sweepEvery)
	defer each.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("wrapped answers that have ended could not be deleted", "error", err)
		}
		select {
		case <-each.C:
		case <-ctx.Done():
			return
		}
	}
}

// Sweep deletes what has ended now.
func (s *Store) Sweep(ctx context.Context) error {
	index := store.WrappedByExpiry()
	start, end := index.Between(time.Time{}, s.Now())
	for {
		n := 0
		err := s.Store.Update(ctx, func(tx store.Tx) error {
			var keys [][]byte
			err := tx.Scan(start, end, func(key, _ []byte) error {
				if keys = append(keys, bytes.Clone(key)); len(keys) == page {
					return store.ErrStop
				}
				return nil
			})
			for _, key := range keys {
				err = errors.Join(err, tx.Delete(key))
				if _, hash, ok := store.SplitEntry(key, len(index)); ok {
					err = errors.Join(err, tx.Delete(store.Wrapped(hash)))
				}
			}
			n = len(keys)
			return err
		})
		if err != nil || n < page {
			return err
		}
	}
}
