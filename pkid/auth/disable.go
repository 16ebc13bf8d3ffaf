package auth

import (
	"context"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// Disable takes away a way to log in, revokes all tokens that were made there,
// and forgets its data. One update takes the mount away and marks what is left
// to do; if that is interrupted the next Open goes on with it.
func (t *Table) Disable(ctx context.Context, path string) error {
	if strings.Trim(path, "/") == "token" {
		return vaultapi.BadRequest("token credential backend cannot be disabled")
	}
	m, err := t.remove(ctx, path)
	if m == nil || err != nil {
		return err
	}
	m.use.Lock() // once those who are logging in have their tokens, which are then revoked
	m.gone = true
	m.use.Unlock()
	done := make(chan error, 1)
	t.working.Go(func() { done <- t.leave(t.ctx, m.UUID, m.Path) })
	select {
	case err = <-done:
	case <-ctx.Done(): // it goes on
		err = ctx.Err()
	}
	return err
}

// remove takes a mount out of the table; it is nil if there is none.
func (t *Table) remove(ctx context.Context, path string) (*Mount, error) {
	t.changing.Lock()
	defer t.changing.Unlock()
	m := t.Get(path)
	if m == nil {
		return nil, nil
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
	t.leaving[m.UUID] = m.Path
	t.publish(t.without(m))
	t.cfg.Log.Info("disabled a way to log in", "path", "auth/"+m.Path, "type", m.Type)
	return m, nil
}

// leave revokes the tokens of a mount that is gone, then deletes its data, and
// last the mark. The path is free again afterwards.
func (t *Table) leave(ctx context.Context, id, path string) error {
	err := t.cfg.Tokens.RevokeByPath(ctx, "auth/"+path)
	if err == nil {
		start, end := store.AuthOf(id).All()
		err = store.Clear(ctx, t.cfg.Store, start, end, func(tx store.Tx) error { return tx.Delete(store.AuthDisabled(id)) })
	}
	if err != nil {
		if t.ctx.Err() == nil {
			t.cfg.Log.Error("what belonged to a way to log in could not be revoked and deleted; the next start goes on", "path", "auth/"+path, "error", err)
		}
		return err
	}
	t.changing.Lock()
	defer t.changing.Unlock()
	delete(t.leaving, id)
	return nil
}
