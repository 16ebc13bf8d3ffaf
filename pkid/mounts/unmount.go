package mounts

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// Disable unmounts, if something is mounted there. One update takes the mount
// away and marks its data; the data is then deleted in the background, and
// after a crash from where that was.
func (t *Table) Disable(ctx context.Context, path string) error {
	t.changing.Lock()
	defer t.changing.Unlock()
	m := t.Get(path)
	if m == nil {
		return nil
	}
	if m.BuiltIn {
		return vaultapi.BadRequest("cannot unmount %q", m.Path)
	}
	err := t.cfg.Store.Update(ctx, func(tx store.Tx) error {
		if err := tx.Put(store.Unmounted(m.UUID), nil); err != nil {
			return err
		}
		return tx.Delete(store.Mount(m.UUID))
	})
	if err != nil {
		return err
	}
	t.publish(slices.DeleteFunc(slices.Clone(t.List()), func(other *Mount) bool { return other == m }))
	t.cfg.Log.Info("unmounted", "mount", m.Path)
	t.working.Go(func() {
		m.close() // what works there would write after the purge
		t.purge(m.UUID)
	})
	return nil
}

// purge deletes the data of a mount that is gone, and last the mark.
func (t *Table) purge(id string) {
	start, end := store.Of(id).All()
	err := store.Clear(t.ctx, t.cfg.Store, start, end, func(tx store.Tx) error { return tx.Delete(store.Unmounted(id)) })
	if err != nil && t.ctx.Err() == nil {
		t.cfg.Log.Error("the data of a mount that is gone could not be deleted; the next start goes on", "uuid", id, "error", err)
	}
}

// Move gives a mount another path. Its data lies under its UUID and stays where
// it is, so the move is one write and is done when Move returns.
func (t *Table) Move(ctx context.Context, from, to string) (id string, err error) {
	path, err := clean(to)
	if err != nil {
		return "", err
	}
	t.changing.Lock()
	defer t.changing.Unlock()
	m := t.Get(from)
	if m == nil || m.BuiltIn {
		return "", vaultapi.BadRequest("no matching mount at %q", strings.Trim(from, "/")+"/")
	}
	if err := t.free(path, m); err != nil {
		return "", err
	}
	next := *m
	next.Path = path
	if err := t.replace(ctx, m, &next); err != nil {
		return "", err
	}
	t.cfg.Log.Info("moved a mount", "from", m.Path, "to", path)
	id = uuid.NewString()
	t.migrations[id] = [2]string{m.Path, path}
	return id, nil
}

// Migration tells of a move of this process's by its id.
func (t *Table) Migration(id string) (from, to, status string, ok bool) {
	t.changing.Lock()
	defer t.changing.Unlock()
	move, ok := t.migrations[id]
	return move[0], move[1], "success", ok
}
