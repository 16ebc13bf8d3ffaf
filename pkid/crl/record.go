package crl

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// Kind is one of the two lists of a group.
type Kind string

// A complete CRL has all that is revoked; a delta CRL what has been since the
// complete one that it names.
const (
	Complete Kind = "complete"
	Delta    Kind = "delta"
)

// record is what is kept of a group's lists. Who reads a list begins here: parts
// of a list that it does not name are nobody's.
type record struct {
	// Number is the last CRL number that was taken, by either kind. It is
	// taken before a list is signed, so that no two lists have the same, and a
	// list that came to nothing leaves a gap.
	Number uint64 `json:"number"`
	// Building is the list that took it, until the list is stored. What is
	// found here when the next one begins has come to nothing, and may have
	// left parts behind.
	Building *building `json:"building,omitempty"`

	Complete *list `json:"complete,omitempty"`
	Delta    *list `json:"delta,omitempty"`
}

type building struct {
	Kind   Kind   `json:"kind"`
	Number uint64 `json:"number"`
	// Waits is the list where people have to approve its signature: the next
	// build has to come to the same bytes.
	Waits *list `json:"waits,omitempty"`
}

// waiting gives the list of a kind that waits for approval, if it would still be
// the same and is of use: nothing was revoked since, and it has not ended.
func (r *record) waiting(kind Kind, changes int64, now time.Time) *list {
	b := r.Building
	if b == nil || b.Waits == nil || b.Kind != kind || b.Number != r.Number || b.Waits.Changes != changes || !now.Before(b.Waits.NextUpdate) {
		return nil
	}
	if kind == Delta && (r.Complete == nil || r.Complete.Number != b.Waits.Base) {
		return nil
	}
	return b.Waits
}

// list is one signed list. Its DER lies in parts beside the record.
type list struct {
	Number     uint64    `json:"number"`
	Base       uint64    `json:"base,omitempty"` // a delta's: number of the complete list that it adds to
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update"`
	StoredAt   time.Time `json:"stored_at"`
	// Generation is the one that began before the complete list was read: a
	// delta on it needs that one's revocations and later ones (package
	// inventory).
	Generation uint64 `json:"generation"`
	Changes    int64  `json:"changes"` // the count that it covers
	Entries    int64  `json:"entries"`
	Disabled   bool   `json:"disabled,omitempty"` // empty because config/crl says so

	Size   int64  `json:"size"`   // of the DER, in octets
	Before int64  `json:"before"` // octets of it before the TBSCertList, at the beginning of part 0
	Parts  uint32 `json:"parts"`
}

// partSize is how many octets of a TBSCertList a part has. The first part has
// what stands before it too, and the last what stands after.
const partSize = 1 << 20

func (r *record) of(kind Kind) *list {
	if kind == Delta {
		return r.Delta
	}
	return r.Complete
}

func (r *record) set(kind Kind, l *list) {
	if kind == Delta {
		r.Delta = l
	} else {
		r.Complete = l
	}
}

// record reads the record of a group; of one that has no list it is empty.
func (u *Updater) record(r store.Reader, g inventory.Group) (*record, error) {
	rec := new(record)
	raw, err := r.Get(u.space.CRL(string(g)))
	if errors.Is(err, store.ErrNotFound) {
		return rec, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, rec)
	}
	if err != nil {
		return nil, fmt.Errorf("the record of the CRLs of group %s: %w", g, err)
	}
	return rec, nil
}

func (u *Updater) putRecord(tx store.Tx, g inventory.Group, rec *record) error {
	raw, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return tx.Put(u.space.CRL(string(g)), raw)
}
