package ca

import (
	"context"
	"time"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// DropExpiredIssuers deletes the issuers whose certificates ended before a
// time, but not the default, and says how many.
func (a *Authority) DropExpiredIssuers(ctx context.Context, before time.Time) (int, error) {
	var dropped []*Issuer
	err := a.change(ctx, func(v *view, tx store.Tx) error {
		dropped = nil
		for id, i := range v.issuers {
			if id == v.settings.DefaultIssuer || !i.Certificate.NotAfter.Before(before) {
				continue
			}
			dropped = append(dropped, i)
			delete(v.issuers, id)
			if err := tx.Delete(a.space.Issuer(id)); err != nil {
				return err
			}
		}
		for _, i := range dropped {
			if _, err := a.leaveManualChains(v, tx, i.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, i := range dropped {
		a.cfg.Log.Info("dropped an expired issuer", "issuer", i.ID, "name", i.Name, "not_after", i.Certificate.NotAfter)
	}
	return len(dropped), nil
}

// IssuerIn gives the id of an issuer of a group, "" if there is none, and
// whether there is an issuer with the id.
func (a *Authority) IssuerIn(group inventory.Group, id string) (other string, exists bool) {
	v := a.view.Load()
	if v.issuers[id] != nil {
		return id, true
	}
	for candidate, i := range v.issuers {
		if i.group == group && (other == "" || candidate < other) {
			other = candidate
		}
	}
	return other, false
}

// Published is when the group's newest complete CRL was made, zero if there is
// none.
func (a *Authority) Published(r store.Reader, group inventory.Group) (time.Time, error) {
	return a.crls.Published(r, group)
}
