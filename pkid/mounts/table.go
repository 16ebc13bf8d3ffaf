package mounts

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/goodkey"
	"github.com/hsmpki/hsmpki/pkid/hsm"
	"github.com/hsmpki/hsmpki/pkid/ocsp"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/tidy"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// Settings are what a Table is made of.
type Settings struct {
	Store store.Store
	Keys  *hsm.Client
	Now   func() time.Time
	Log   *slog.Logger
	// BlockedKeys are the public keys that no mount certifies; nil is none.
	BlockedKeys *goodkey.Blocklist
}

// Table is the mount table. Looking up takes no lock: the list is immutable and
// replaced by each change, once that is durable.
type Table struct {
	cfg  Settings
	list atomic.Pointer[[]*Mount] // in order of path

	changing   sync.Mutex
	migrations map[string][2]string // id of a move: from, to; under changing

	ctx     context.Context // of deleting in the background
	cancel  context.CancelFunc
	working sync.WaitGroup
}

// Open reads the table and goes on with deleting what was unmounted.
func Open(ctx context.Context, cfg Settings) (*Table, error) {
	t := &Table{cfg: cfg, migrations: map[string][2]string{}}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	cluster, err := t.cluster(ctx)
	if err != nil {
		return nil, err
	}
	list := builtIn(cluster)
	var leftovers []string
	err = cfg.Store.View(ctx, func(r store.Reader) error {
		start, end := store.Mounts()
		err := r.Scan(start, end, func(_, value []byte) error {
			m, err := decode(value)
			list = append(list, m)
			return err
		})
		if err != nil {
			return err
		}
		start, end = store.AllUnmounted()
		prefix := len(start)
		return r.Scan(start, end, func(key, _ []byte) error {
			leftovers = append(leftovers, string(key[prefix:]))
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		if m.BuiltIn {
			continue
		}
		if err = t.open(ctx, m); err != nil {
			t.publish(list)
			t.Close()
			return nil, err
		}
	}
	t.publish(list)
	for _, id := range leftovers {
		t.working.Go(func() { t.purge(id) })
	}
	return t, nil
}

// cluster gives the id of this state, made at its first start.
func (t *Table) cluster(ctx context.Context) (id uuid.UUID, err error) {
	err = t.cfg.Store.View(ctx, func(r store.Reader) error {
		text, err := r.Get(store.Cluster())
		if err != nil {
			return err
		}
		id, err = uuid.ParseBytes(text)
		return err
	})
	if !errors.Is(err, store.ErrNotFound) {
		return id, err
	}
	id = uuid.New()
	return id, t.cfg.Store.Update(ctx, func(tx store.Tx) error { return tx.Put(store.Cluster(), []byte(id.String())) })
}

// Close stops work in the background; it goes on with the next Open.
func (t *Table) Close() {
	t.cancel()
	for _, m := range t.List() {
		m.close()
	}
	t.working.Wait()
}

// open makes what lives at a mount's path.
func (t *Table) open(ctx context.Context, m *Mount) (err error) {
	log := t.cfg.Log.With("mount", m.Path)
	m.Authority, err = ca.Open(ctx, ca.Config{
		UUID: m.UUID, Store: t.cfg.Store, Keys: t.cfg.Keys, Now: t.cfg.Now, Log: log,
		GoodKeys: goodkey.Policy{Blocked: t.cfg.BlockedKeys, CA: t.hasKey},
	}, m.limits())
	if err != nil {
		return err
	}
	t.working.Go(func() { m.Authority.Run(t.ctx) })
	seen := m.Authority.OCSP()
	m.Responder, err = ocsp.New(ocsp.Config{Source: seen, Keys: seen, Now: t.cfg.Now, Log: log})
	if err != nil {
		return err
	}
	m.Tidier, err = tidy.Open(ctx, tidy.Config{UUID: m.UUID, Store: t.cfg.Store, CA: m.Authority, Now: t.cfg.Now, Log: log})
	return err
}

// close ends what works in the background at a mount's path.
func (m *Mount) close() {
	if m.Tidier != nil {
		m.Tidier.Close()
	}
	if m.Authority != nil {
		m.Authority.Close()
	}
}

func (t *Table) publish(list []*Mount) {
	slices.SortFunc(list, func(a, b *Mount) int { return strings.Compare(a.Path, b.Path) })
	t.list.Store(&list)
}

// List gives all mounts in order of path, the built-in ones too.
func (t *Table) List() []*Mount { return *t.list.Load() }

// Find gives the mount with the longest path that path begins with, and the
// rest; nil if there is none.
func (t *Table) Find(path string) (m *Mount, rest string) {
	for _, candidate := range t.List() {
		if strings.HasPrefix(path+"/", candidate.Path) && (m == nil || len(candidate.Path) > len(m.Path)) {
			m = candidate
		}
	}
	if m == nil {
		return nil, ""
	}
	return m, strings.TrimSuffix(strings.TrimPrefix(path+"/", m.Path), "/")
}

// Get gives the mount at exactly this path, nil if there is none.
func (t *Table) Get(path string) *Mount {
	path = strings.Trim(path, "/") + "/"
	for _, m := range t.List() {
		if m.Path == path {
			return m
		}
	}
	return nil
}

// hasKey tells whether a SubjectPublicKeyInfo is that of a CA key of any mount.
func (t *Table) hasKey(spki []byte) bool {
	return slices.ContainsFunc(t.List(), func(m *Mount) bool { return m.Authority != nil && m.Authority.HasKey(spki) })
}

// NamedIn lists the mounts whose allowed_managed_keys name a key.
func (t *Table) NamedIn(managedKey string) []string {
	var out []string
	for _, m := range t.List() {
		if slices.Contains(m.Config.AllowedManagedKeys, managedKey) {
			out = append(out, m.Path)
		}
	}
	return out
}

// Enable mounts.
func (t *Table) Enable(ctx context.Context, s Spec) error {
	m, err := newMount(s)
	if err != nil {
		return err
	}
	t.changing.Lock()
	defer t.changing.Unlock()
	if err := t.free(m.Path, nil); err != nil {
		return err
	}
	if err := t.open(ctx, m); err != nil {
		return err
	}
	if err := t.cfg.Store.Update(ctx, func(tx store.Tx) error { return put(tx, m) }); err != nil {
		m.close()
		return err
	}
	t.publish(append(slices.Clone(t.List()), m))
	t.cfg.Log.Info("mounted", "mount", m.Path, "type", m.Type)
	return nil
}

// free refuses a path that is taken, or that would hide or be hidden by another
// mount; moved is not counted.
func (t *Table) free(path string, moved *Mount) error {
	for _, other := range t.List() {
		if other == moved {
			continue
		}
		if strings.HasPrefix(other.Path, path) || strings.HasPrefix(path, other.Path) {
			return vaultapi.BadRequest("path is already in use at %s", other.Path)
		}
	}
	return nil
}

// Tune changes a mount's settings. They count for the next request.
func (t *Table) Tune(ctx context.Context, path string, c Change) error {
	t.changing.Lock()
	defer t.changing.Unlock()
	m, err := t.owned(path)
	if err != nil {
		return err
	}
	next, err := m.with(c)
	if err != nil {
		return err
	}
	if err := t.replace(ctx, m, next); err != nil {
		return err
	}
	next.Authority.SetLimits(next.limits())
	return nil
}

// replace makes a changed mount durable and visible; t.changing is held.
func (t *Table) replace(ctx context.Context, m, next *Mount) error {
	if err := t.cfg.Store.Update(ctx, func(tx store.Tx) error { return put(tx, next) }); err != nil {
		return err
	}
	list := slices.DeleteFunc(slices.Clone(t.List()), func(other *Mount) bool { return other == m })
	t.publish(append(list, next))
	return nil
}

func (t *Table) owned(path string) (*Mount, error) {
	m := t.Get(path)
	switch {
	case m == nil:
		return nil, vaultapi.BadRequest("No secret engine mount at %s/", strings.Trim(path, "/"))
	case m.BuiltIn:
		return nil, vaultapi.BadRequest("the mount %s belongs to the system", m.Path)
	}
	return m, nil
}

func put(tx store.Tx, m *Mount) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return tx.Put(store.Mount(m.UUID), raw)
}
