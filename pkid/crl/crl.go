// Package crl makes and serves the revocation lists of one mount (RFC 5280,
// section 5). There is one complete list, and if it is wanted one delta list,
// for each group of issuers (package inventory). The package decides when a
// list is made anew, assembles it from entries that are stored encoded, has it
// signed, and serves it; in a build and in serving no list is held whole.
//
// A revocation is none of its business: that is one write to the inventory.
// What a list covers is told by the group's count of changes. Who reads a list
// that does not cover what there is waits for one that does, see
// [Updater.Latest] in latest.go; a list is made by [Updater.build], in
// build.go, and what must not lapse is looked after in tend.go.
package crl

import (
	"context"
	"crypto/x509"
	"log/slog"
	"sync"
	"time"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// Source is the authority whose lists are made.
type Source interface {
	// Groups lists the groups that have an issuer now.
	Groups() []inventory.Group
	// Signing gives who signs a group's lists, for one act, or says in words
	// for the API why not: it is a CannotSign where nobody is meant to.
	Signing(ctx context.Context, g inventory.Group) (*Signing, error)
	// CRLConfig is config/crl.
	CRLConfig() Config
}

// CannotSign is why an issuer signs no CRLs at all: its key is not here, or it is
// without that usage. Anybody can ask for its CRL, and nothing is amiss.
type CannotSign struct{ Reason error }

func (c CannotSign) Error() string { return c.Reason.Error() }

// Unwrap gives the reason.
func (c CannotSign) Unwrap() error { return c.Reason }

// Signing is who signs a list.
type Signing struct {
	Issuer    *issuance.Issuer
	Algorithm x509.SignatureAlgorithm // 0: the issuer's default
	Key       issuance.StreamSigner
	// LastNumber, if not nil, gives the last CRL number that was signed under the
	// issuer's name, 0 if none was: by whoever shares it, or by this one before
	// it was restored from an old state.
	LastNumber func(context.Context) (uint64, error)
	// Look, if not nil, sees the TBSCertList before the key is asked, with a
	// dummy of the signature's length; of a long list one with its first entries.
	// Its error ends the build.
	Look func(tbs, dummy []byte) error
}

// Settings are what an Updater is made of.
type Settings struct {
	UUID   string // the mount's, under which its state lies
	Store  store.Store
	Source Source
	Now    func() time.Time
	Log    *slog.Logger
}

// Updater makes and serves the lists of one mount.
type Updater struct {
	cfg       Settings
	space     store.Keyspace
	inventory inventory.Inventory
	inHand    inHand

	ctx    context.Context // of what is made in the background
	cancel context.CancelFunc
	work   sync.WaitGroup
	wake   chan struct{} // has room for one; a word to Run

	mu       sync.Mutex
	closed   bool
	builders map[inventory.Group]*builder
}

// New makes an Updater. It does nothing by itself before Run.
func New(cfg Settings) *Updater {
	u := &Updater{
		cfg: cfg, space: store.Of(cfg.UUID), inventory: inventory.Of(cfg.UUID),
		wake: make(chan struct{}, 1), builders: map[inventory.Group]*builder{},
	}
	u.ctx, u.cancel = context.WithCancel(context.Background())
	return u
}

// Close ends what is being made and waits for it. What has not been stored has
// been seen by nobody.
func (u *Updater) Close() {
	u.mu.Lock()
	u.closed = true
	u.mu.Unlock()
	u.cancel()
	u.work.Wait()
}

// Wake has Run look now at what there is to do: after a change of config/crl.
func (u *Updater) Wake() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}
