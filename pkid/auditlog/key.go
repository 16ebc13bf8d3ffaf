package auditlog

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// Key gives the key of the HMACs, made with the state and never changed, so that
// a token or a PIN can be looked for in logs of years.
func Key(ctx context.Context, state store.Store) (key []byte, err error) {
	err = state.View(ctx, func(r store.Reader) (err error) { key, err = r.Get(store.AuditKey()); return err })
	if errors.Is(err, store.ErrNotFound) { // looked at first, since a full disk takes no update
		fresh := make([]byte, sha256.Size)
		rand.Read(fresh)
		err = state.Update(ctx, func(tx store.Tx) (err error) {
			if key, err = tx.Get(store.AuditKey()); !errors.Is(err, store.ErrNotFound) {
				return err // another process was faster
			}
			key = fresh
			return tx.Put(store.AuditKey(), fresh)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("the audit log's key: %w", err)
	}
	return key, nil
}
