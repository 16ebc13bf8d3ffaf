package ca

import (
	"context"
	"slices"
	"time"

	"github.com/hsmpki/hsmpki/pkid/crl"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// expiringDays is how far ahead certificates that end are counted, and
// maxExpiring how many.
const (
	expiringDays = 30
	maxExpiring  = 1_000_000
)

// Figures are what is to be watched of a mount.
type Figures struct {
	Certificates, Revoked int64
	Expiring              []int                // by day from now on
	Issuers               map[string]time.Time // when those with a key end, by id
	Lists                 []crl.Figures
}

// Figures reads them. It looks at each certificate that ends within 30 days, up
// to a million: not something to do for each who asks.
func (a *Authority) Figures(ctx context.Context) (*Figures, error) {
	f := &Figures{Issuers: map[string]time.Time{}}
	for id, i := range a.view.Load().issuers {
		if i.KeyID != "" {
			f.Issuers[id] = i.Certificate.NotAfter
		}
	}
	err := a.cfg.Store.View(ctx, func(r store.Reader) (err error) {
		if f.Certificates, err = a.inventory.Count(r); err != nil {
			return err
		}
		if f.Revoked, err = a.inventory.RevokedCount(r); err != nil {
			return err
		}
		if f.Expiring, _, err = a.inventory.ExpiringByDay(r, a.cfg.Now(), expiringDays, maxExpiring); err != nil {
			return err
		}
		for _, g := range (crlSource{a}).Groups() {
			lists, err := a.crls.Figures(r, g)
			if err != nil {
				return err
			}
			f.Lists = append(f.Lists, lists...)
		}
		return nil
	})
	return f, err
}

// SigningKeys names the managed keys of issuers.
func (a *Authority) SigningKeys() (names []string) {
	v := a.view.Load()
	for _, i := range v.issuers {
		if k := v.keys[i.KeyID]; k != nil && !slices.Contains(names, k.ManagedName) {
			names = append(names, k.ManagedName)
		}
	}
	return names
}
