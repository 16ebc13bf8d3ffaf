package crl

import (
	"time"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// Figures are what is to be watched of a group's list.
type Figures struct {
	Group      inventory.Group
	Kind       Kind
	Number     uint64
	ThisUpdate time.Time
	NextUpdate time.Time
	Entries    int64
	Size       int64 // octets of its DER
}

// Figures gives those of the lists that a group has.
func (u *Updater) Figures(r store.Reader, g inventory.Group) (all []Figures, err error) {
	rec, err := u.record(r, g)
	if err != nil {
		return nil, err
	}
	for _, kind := range []Kind{Complete, Delta} {
		if l := rec.of(kind); l != nil {
			all = append(all, Figures{g, kind, l.Number, l.ThisUpdate, l.NextUpdate, l.Entries, l.Size})
		}
	}
	return all, nil
}
