package auth

import (
	"context"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// departure is a mount that is gone from the table, and whose tokens are not all
// revoked yet, or data deleted.
type departure struct {
	id, path string
	done     chan struct{} // closed when that is over
	err      error         // then: why something is left
}

// Disable takes away a way to log in, revokes all tokens that were made there,
// and forgets its data. One update takes the mount away and marks what is left
// to do; if that is interrupted the next Open goes on with it, or the next
// Disable.
func (t *Table) Disable(ctx context.Context, path string) error {
	path = strings.Trim(path, "/") + "/"
	if path == "token/" {
		return vaultapi.BadRequest("token credential backend cannot be disabled")
	}
	d, err := t.remove(ctx, path)
	if d == nil || err != nil {
		return err
	}
	select {
	case <-d.done:
		return d.err
	case <-ctx.Done(): // it goes on
		return ctx.Err()
	}
}

// remove takes a mount out of the table. It is nil if there is none, nor one
// that is still leaving.
func (t *Table) remove(ctx context.Context, path string) (*departure, error) {
	t.changing.Lock()
	defer t.changing.Unlock()
	m := t.Get(path)
	if m == nil {
		return t.stillLeaving(path), nil
	}
	err := t.cfg.Store.Update(ctx, func(tx store.Tx) error {
		if err := tx.Put(store.AuthDisabled(m.UUID), []byte(m.Path)); err != nil {
			return err
		}
		return tx.Delete(store.AuthMount(m.UUID))
	})
	if err != nil {
		return nil, err
	}
	t.publish(t.without(m))
	t.cfg.Log.Info("disabled a way to log in", "path", "auth/"+m.Path, "type", m.Type)
	return t.depart(m.UUID, m.Path, m), nil
}

// stillLeaving gives what was at a path and is not done with, which is tried
// again if it has failed; t.changing is held.
func (t *Table) stillLeaving(path string) *departure {
	for _, d := range t.leaving {
		if d.path != path {
			continue
		}
		select {
		case <-d.done:
			return t.depart(d.id, d.path, nil)
		default:
			return d
		}
	}
	return nil
}

// depart does what is left to do for a mount that is gone; t.changing is held.
// For one path only one does so at a time: a second could revoke the tokens of
// what is enabled there afterwards.
func (t *Table) depart(id, path string, m *Mount) *departure {
	d := &departure{id: id, path: path, done: make(chan struct{})}
	t.leaving[id] = d
	t.working.Go(func() {
		defer close(d.done)
		if m != nil {
			m.use.Lock() // once those who are logging in have their tokens, which are then revoked
			m.gone = true
			m.use.Unlock()
		}
		if d.err = t.leave(d); d.err == nil {
			t.changing.Lock()
			delete(t.leaving, id)
			t.changing.Unlock()
		}
	})
	return d
}

// leave revokes the tokens of a mount that is gone, then deletes its data, and
// last the mark.
func (t *Table) leave(d *departure) error {
	err := t.cfg.Tokens.RevokeByPath(t.ctx, "auth/"+d.path)
	if err == nil {
		start, end := store.AuthOf(d.id).All()
		err = store.Clear(t.ctx, t.cfg.Store, start, end, func(tx store.Tx) error { return tx.Delete(store.AuthDisabled(d.id)) })
	}
	if err != nil && t.ctx.Err() == nil {
		t.cfg.Log.Error("what belonged to a way to log in could not be revoked and deleted; the next start goes on, or disabling it again", "path", "auth/"+d.path, "error", err)
	}
	return err
}
