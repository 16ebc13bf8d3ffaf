package store

import (
	"context"
	"errors"
	"slices"
)

// clearBatch is how many keys are deleted in one update.
const clearBatch = 1000

// Clear deletes a range of keys, however many, and does what comes last in the
// update that deletes the last of them. After a crash some are left.
func Clear(ctx context.Context, s Store, start, end []byte, last func(Tx) error) error {
	for done := false; !done; {
		err := s.Update(ctx, func(tx Tx) error {
			var keys [][]byte
			err := tx.Scan(start, end, func(key, _ []byte) error {
				keys = append(keys, slices.Clone(key))
				if len(keys) == clearBatch {
					return ErrStop
				}
				return nil
			})
			for _, key := range keys {
				err = errors.Join(err, tx.Delete(key))
			}
			if done = len(keys) < clearBatch; done && err == nil {
				return last(tx)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
