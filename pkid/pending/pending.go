// Package pending keeps requests whose signature people have to approve at
// hsmd, with what they drew besides: asked again with that, the same request
// comes to the same bytes, which is what was approved. It knows no certificates
// and no HTTP.
package pending

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hsmpki/hsmpki/pkid/identity"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// Request is one that waits. ID is hsmd's.
type Request struct {
	ID        string          `json:"id"`
	Path      string          `json:"path"` // below /v1/
	Params    json.RawMessage `json:"params"`
	Requester string          `json:"requester"`
	Alias     *identity.Alias `json:"alias,omitempty"`
	RequestID string          `json:"request_id"` // of the first time it was asked
	Until     time.Time       `json:"until"`

	Now    time.Time `json:"now"`    // when it was first asked
	Serial []byte    `json:"serial"` // that its certificate gets
	New    string    `json:"new"`    // the UUID of what it makes
}

// Table has them, in the store alone. It is safe for concurrent use.
type Table struct {
	Store store.Store
	Now   func() time.Time

	turns turns
}

// Put keeps a request, and forgets those that have ended.
func (t *Table) Put(ctx context.Context, r *Request) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return t.Store.Update(ctx, func(tx store.Tx) error {
		if err := t.sweep(tx); err != nil {
			return err
		}
		return tx.Put(store.Pending(r.ID), value)
	})
}

func (t *Table) sweep(tx store.Tx) error {
	all, err := list(tx)
	if err != nil {
		return err
	}
	for _, r := range all {
		if t.Now().After(r.Until) {
			if err := tx.Delete(store.Pending(r.ID)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Get gives a request, nil if there is none.
func (t *Table) Get(ctx context.Context, id string) (*Request, error) {
	var found *Request
	err := t.Store.View(ctx, func(r store.Reader) error {
		value, err := r.Get(store.Pending(id))
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err == nil {
			found, err = decode(value)
		}
		return err
	})
	if found != nil && t.Now().After(found.Until) {
		found = nil
	}
	return found, err
}

// Delete forgets a request.
func (t *Table) Delete(ctx context.Context, id string) error {
	return t.Store.Update(ctx, func(tx store.Tx) error { return tx.Delete(store.Pending(id)) })
}

// List gives those that wait.
func (t *Table) List(ctx context.Context) (all []*Request, err error) {
	err = t.Store.View(ctx, func(r store.Reader) error {
		found, err := list(r)
		for _, one := range found {
			if !t.Now().After(one.Until) {
				all = append(all, one)
			}
		}
		return err
	})
	return all, err
}

func list(r store.Reader) (all []*Request, err error) {
	start, end := store.AllPending()
	err = r.Scan(start, end, func(_, value []byte) error {
		one, err := decode(value)
		all = append(all, one)
		return err
	})
	return all, err
}

func decode(value []byte) (*Request, error) {
	r := &Request{}
	if err := json.Unmarshal(value, r); err != nil {
		return nil, fmt.Errorf("a pending request in the store: %w", err)
	}
	return r, nil
}
