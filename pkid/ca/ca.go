// Package ca is the certificate authority of one mount: it makes roots, issues
// certificates, and keeps issuers, keys and roles. Each act is durable before
// anybody hears of it, and all of one act is one update of the store.
//
// What a certificate may be is decided by pkid/role and pkid/issuance; who may
// ask is decided before. The package never sees a CA's private key: signing is
// asked of hsmd, through pkid/hsm.
//
// Start with [Authority.Issue], in issue.go, and [Authority.GenerateRoot], in
// root.go; README.md says how the rest hangs together.
package ca

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hsmpki/hsmpki/pkid/chain"
	"github.com/hsmpki/hsmpki/pkid/crl"
	"github.com/hsmpki/hsmpki/pkid/goodkey"
	"github.com/hsmpki/hsmpki/pkid/hsm"
	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// Config is what an Authority is made of.
type Config struct {
	UUID  string // the mount's, under which its state lies
	Store store.Store
	Keys  *hsm.Client
	Now   func() time.Time
	Log   *slog.Logger
	// GoodKeys is asked for each public key that was not made here. Where it
	// does not know the CA keys, the authority tells it of its own.
	GoodKeys goodkey.Policy
}

// Limits are the mount's settings that bind its authority.
type Limits struct {
	DefaultTTL, MaxTTL time.Duration
	AllowedManagedKeys []string
}

// Authority is one mount's CA. Reading and issuing go by an immutable view of
// issuers, keys, roles and settings, which each change replaces once it is
// durable; so the way of a certificate takes no lock and parses nothing.
type Authority struct {
	cfg       Config
	space     store.Keyspace
	inventory inventory.Inventory

	limits atomic.Pointer[Limits]
	view   atomic.Pointer[view]

	changing sync.Mutex    // held by whoever changes the view
	chains   chain.Builder // under changing

	writing sync.RWMutex // for reading, while there is an update under way
	closed  bool         // under writing

	crls   *crl.Updater
	access sync.Map // managed keys of any_mount: *permission
}

// Open reads an authority's state.
func Open(ctx context.Context, cfg Config, limits Limits) (*Authority, error) {
	a := &Authority{cfg: cfg, space: store.Of(cfg.UUID), inventory: inventory.Of(cfg.UUID)}
	if a.cfg.GoodKeys.CA == nil {
		a.cfg.GoodKeys.CA = a.HasKey
	}
	if a.cfg.GoodKeys.Compromised == nil {
		a.cfg.GoodKeys.Compromised = a.compromised
	}
	a.SetLimits(limits)
	a.crls = crl.New(crl.Settings{UUID: cfg.UUID, Store: cfg.Store, Source: crlSource{a}, Now: cfg.Now, Log: cfg.Log})
	err := cfg.Store.View(ctx, func(r store.Reader) error {
		v, err := readView(r, a.space, &a.chains)
		if err != nil {
			return err
		}
		v.since = cfg.Now()
		a.view.Store(v)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the CA %s: %w", cfg.UUID, err)
	}
	return a, nil
}

// Run does what is to be done without anybody's asking, until ctx is done or the
// authority is closed: CRLs are renewed before they lapse.
func (a *Authority) Run(ctx context.Context) { a.crls.Run(ctx) }

// Close ends what goes on in the background, and waits for it and for updates
// under way. There is none after it: who unmounts deletes what there is then.
func (a *Authority) Close() {
	a.crls.Close()
	a.writing.Lock()
	defer a.writing.Unlock()
	a.closed = true
}

// update is the store's Update until Close.
func (a *Authority) update(ctx context.Context, fn func(store.Tx) error) error {
	a.writing.RLock()
	defer a.writing.RUnlock()
	if a.closed {
		return ErrNotFound
	}
	return a.cfg.Store.Update(ctx, fn)
}

// SetLimits takes over the mount's settings.
func (a *Authority) SetLimits(l Limits) {
	l.AllowedManagedKeys = slices.Clone(l.AllowedManagedKeys)
	a.limits.Store(&l)
}

// change makes a change of the view durable and then visible. prepare gets a
// copy of the view to change, and writes the same to the store; it may run
// twice, each time on a fresh copy.
func (a *Authority) change(ctx context.Context, prepare func(v *view, tx store.Tx) error) error {
	a.changing.Lock()
	defer a.changing.Unlock()
	var next *view
	err := a.update(ctx, func(tx store.Tx) error {
		next = a.view.Load().clone()
		return prepare(next, tx)
	})
	if err != nil {
		return err
	}
	next.settle(&a.chains)
	next.since = a.cfg.Now()
	a.view.Store(next)
	return nil
}

// Changed is the end of the second in which anything about issuers, keys, roles
// or settings changed last, or was read from the store. HTTP tells states apart
// by the second.
func (a *Authority) Changed() time.Time {
	return a.view.Load().since.Truncate(time.Second).Add(time.Second)
}

// refuse is a user's mistake in Vault's words.
func refuse(format string, args ...any) error { return vaultapi.BadRequest(format, args...) }

// ErrNotFound is returned for what is not there: HTTP 404 without a text.
var ErrNotFound error = &vaultapi.Error{Status: http.StatusNotFound, Errors: []string{}}
