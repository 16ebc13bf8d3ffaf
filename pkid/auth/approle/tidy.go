package approle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// page bounds the secret ids that one update deletes.
const page = 256

// idLength is that of a role's own id in an index.
const idLength = 36

// Tidy deletes the secret ids that have expired, which are none from that time
// on, and those of roles that were deleted when a crash came between.
func (m *Method) Tidy(ctx context.Context) error {
	return errors.Join(m.expire(ctx), m.forgetAll(ctx))
}

func (m *Method) expire(ctx context.Context) error {
	index := m.Space.SecretIDsByEnd()
	start, end := index.Between(time.Time{}, m.Now())
	for done := false; !done; {
		err := m.Store.Update(ctx, func(tx store.Tx) error {
			var ended [][]byte
			err := tx.Scan(start, end, func(key, _ []byte) error {
				if ended = append(ended, bytes.Clone(key)); len(ended) == page {
					return store.ErrStop
				}
				return nil
			})
			done = len(ended) < page
			for _, key := range ended {
				err = errors.Join(err, m.bury(tx, key, len(index)))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// bury deletes the secret id of an entry in the index, and the entry.
func (m *Method) bury(tx store.Tx, key []byte, prefix int) error {
	_, of, ok := store.SplitEntry(key, prefix)
	if !ok || len(of) <= idLength {
		return tx.Delete(key)
	}
	role, hash := string(of[:idLength]), of[idLength:]
	accessor, err := m.accessorOf(tx, role, hash)
	if err != nil {
		return err
	}
	return errors.Join(tx.Delete(m.Space.SecretID(role, hash)), tx.Delete(m.Space.SecretIDAccessor(role, accessor)), tx.Delete(key))
}

// accessorOf is "" of a secret id that is gone.
func (m *Method) accessorOf(tx store.Tx, role string, hash []byte) (string, error) {
	raw, err := tx.Get(m.Space.SecretID(role, hash))
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var s SecretID
	err = json.Unmarshal(raw, &s)
	return s.Accessor, err
}

// forgetAll goes on with roles whose deletion was interrupted.
func (m *Method) forgetAll(ctx context.Context) error {
	var ids []string
	start, end := m.Space.AllForgotten()
	err := m.Store.View(ctx, func(r store.Reader) error {
		ids = nil
		return r.Scan(start, end, func(key, _ []byte) error {
			ids = append(ids, string(key[len(start):]))
			return nil
		})
	})
	for _, id := range ids {
		err = errors.Join(err, m.forget(ctx, id))
	}
	return err
}
