package auth

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hsmpki/hsmpki/pkid/auth/approle"
	"github.com/hsmpki/hsmpki/pkid/auth/cert"
	"github.com/hsmpki/hsmpki/pkid/auth/jwt"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/token"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// Types are the methods that can be enabled.
var Types = []string{"approle", "cert", "jwt", "kubernetes"}

// Settings are what a Table is made of.
type Settings struct {
	Store  store.Store
	Tokens *token.Store
	Now    func() time.Time
	Log    *slog.Logger

	// Revoked tells whether one of pkid's own CAs has issued and revoked a
	// certificate; mounts.Table.Revoked.
	Revoked func(ctx context.Context, cert, issuer *x509.Certificate) (bool, error)
}

// Table is the table of the ways to log in. Looking up takes no lock: the list
// is immutable and replaced by each change, once that is durable.
type Table struct {
	cfg  Settings
	list atomic.Pointer[[]*Mount] // in order of path

	changing sync.Mutex
	leaving  map[string]*departure // by UUID; under changing

	ctx     context.Context // of what is done in the background
	cancel  context.CancelFunc
	working sync.WaitGroup
}

// Open reads the table and goes on with revoking and deleting what belonged to
// mounts that were disabled.
func Open(ctx context.Context, cfg Settings) (*Table, error) {
	t := &Table{cfg: cfg, leaving: map[string]*departure{}}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	var list []*Mount
	left := map[string]string{}
	err := cfg.Store.View(ctx, func(r store.Reader) error {
		list = nil
		start, end := store.AuthMounts()
		err := r.Scan(start, end, func(_, value []byte) error {
			m := new(Mount)
			list = append(list, m)
			return json.Unmarshal(value, m)
		})
		if err != nil {
			return err
		}
		start, end = store.AllAuthDisabled()
		return r.Scan(start, end, func(key, path []byte) error {
			left[string(key[len(start):])] = string(path)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("the ways to log in: %w", err)
	}
	for _, m := range list {
		t.open(m)
	}
	t.publish(list)
	t.working.Go(t.tidy)
	t.changing.Lock()
	defer t.changing.Unlock()
	for id, path := range left {
		t.depart(id, path, nil)
	}
	return t, nil
}

// open makes what lives at a mount's path.
func (t *Table) open(m *Mount) {
	m.living = &living{}
	switch m.Type {
	case "approle":
		m.AppRole = &approle.Method{Space: store.AuthOf(m.UUID), Store: t.cfg.Store, Now: t.cfg.Now}
	case "cert":
		m.Cert = &cert.Method{Space: store.AuthOf(m.UUID), Store: t.cfg.Store, Now: t.cfg.Now, Revoked: t.cfg.Revoked}
	case "jwt", "kubernetes":
		m.JWT = jwt.NewMethod(jwt.Settings{Store: t.cfg.Store, Space: store.AuthOf(m.UUID), Now: t.cfg.Now, Log: t.cfg.Log.With("path", "auth/"+m.Path)})
	}
}

// tidyEach is how often what has expired is looked for, to be deleted.
const tidyEach = time.Minute

// tidy deletes what has expired, now and then until Close.
func (t *Table) tidy() {
	each := time.NewTicker(tidyEach)
	defer each.Stop()
	for {
		for _, m := range t.List() {
			if m.AppRole == nil || !m.Enter() {
				continue
			}
			if err := m.AppRole.Tidy(t.ctx); err != nil && t.ctx.Err() == nil {
				t.cfg.Log.Error("expired secret ids could not be deleted", "path", "auth/"+m.Path, "error", err)
			}
			m.Leave()
		}
		select {
		case <-each.C:
		case <-t.ctx.Done():
			return
		}
	}
}

// Close stops work in the background; it goes on with the next Open.
func (t *Table) Close() {
	t.cancel()
	t.working.Wait()
}

func (t *Table) publish(list []*Mount) {
	slices.SortFunc(list, func(a, b *Mount) int { return strings.Compare(a.Path, b.Path) })
	t.list.Store(&list)
}

// List gives all mounts in order of path.
func (t *Table) List() []*Mount { return *t.list.Load() }

// Find gives the mount that a path below auth/ is in, and the rest; nil if there
// is none.
func (t *Table) Find(path string) (m *Mount, rest string) {
	for _, m := range t.List() {
		if rest, found := strings.CutPrefix(path, m.Path); found {
			return m, rest
		}
	}
	return nil, ""
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

// Enable mounts a method.
func (t *Table) Enable(ctx context.Context, s Spec) error {
	m, err := newMount(s)
	if err != nil {
		return err
	}
	t.changing.Lock()
	defer t.changing.Unlock()
	if err := t.free(m.Path); err != nil {
		return err
	}
	t.open(m)
	if err := t.cfg.Store.Update(ctx, func(tx store.Tx) error { return put(tx, m) }); err != nil {
		return err
	}
	t.publish(append(slices.Clone(t.List()), m))
	t.cfg.Log.Info("enabled a way to log in", "path", "auth/"+m.Path, "type", m.Type)
	return nil
}

// free refuses a path that is taken, or that would hide or be hidden by another;
// also one whose tokens are still being revoked, which would take those of the
// new mount along.
func (t *Table) free(path string) error {
	overlaps := func(other string) bool { return strings.HasPrefix(other, path) || strings.HasPrefix(path, other) }
	if overlaps("token/") {
		return vaultapi.BadRequest("path is already in use at auth/token/")
	}
	for _, other := range t.List() {
		if overlaps(other.Path) {
			return vaultapi.BadRequest("path is already in use at auth/%s", other.Path)
		}
	}
	for _, other := range t.leaving {
		if overlaps(other.path) {
			return vaultapi.BadRequest("auth/%s is being disabled; try again when its tokens are revoked", other.path)
		}
	}
	return nil
}

// Tune changes a mount's settings. They count for the next login.
func (t *Table) Tune(ctx context.Context, path string, c Change) error {
	t.changing.Lock()
	defer t.changing.Unlock()
	m := t.Get(path)
	if m == nil {
		return noMount(path)
	}
	next, err := m.with(c)
	if err != nil {
		return err
	}
	if err := t.cfg.Store.Update(ctx, func(tx store.Tx) error { return put(tx, next) }); err != nil {
		return err
	}
	t.publish(append(t.without(m), next))
	return nil
}

func (t *Table) without(m *Mount) []*Mount {
	return slices.DeleteFunc(slices.Clone(t.List()), func(other *Mount) bool { return other == m })
}

func noMount(path string) error {
	return vaultapi.BadRequest("No auth engine at %s/", strings.Trim(path, "/"))
}

func put(tx store.Tx, m *Mount) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return tx.Put(store.AuthMount(m.UUID), raw)
}
