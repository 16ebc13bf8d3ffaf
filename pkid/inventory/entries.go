package inventory

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// A group's CRL entries are in two ranges. One has them all, and is what a
// complete CRL is made of. The other has them by generation, and is what delta
// CRLs are made of: before a complete CRL reads its entries, it begins a new
// generation, durably. A revocation reads the generation that it writes to, so
// that, updates being serializable, each revocation of an earlier generation
// is in what that CRL then reads; a delta on its base needs no others than
// those of its generation and later. One that is in both does no harm (RFC
// 5280, section 5.2.4).

// Generation is the group's generation, 0 at first.
func (v Inventory) Generation(r store.Reader, g Group) (uint64, error) {
	value, err := r.Get(v.space.Generation(string(g)))
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err == nil && len(value) != 8 {
		err = fmt.Errorf("the generation of group %s is damaged", g)
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(value), nil
}

// NextGeneration begins a new generation and gives it.
func (v Inventory) NextGeneration(tx store.Tx, g Group) (uint64, error) {
	now, err := v.Generation(tx, g)
	if err != nil {
		return 0, err
	}
	return now + 1, tx.Put(v.space.Generation(string(g)), binary.BigEndian.AppendUint64(nil, now+1))
}

// Changes grows with each change of what the group's CRL would say: one that
// was made at another count is out of date.
func (v Inventory) Changes(r store.Reader, g Group) (int64, error) {
	return r.Count(v.space.ChangeCount(string(g)))
}

// EntryCount is how many entries the group has; it is kept, not counted.
func (v Inventory) EntryCount(r store.Reader, g Group) (int64, error) {
	return r.Count(v.space.EntryCount(string(g)))
}

// DropBefore deletes at most limit entries of generations before the given one,
// which no delta needs any more. It begins at from, where nil is the first, and
// gives where the next call goes on, nil if nothing is left: it does not pass
// again over what it has deleted.
func (v Inventory) DropBefore(tx store.Tx, g Group, generation uint64, from []byte, limit int) (next []byte, err error) {
	start, end := v.space.CRLNewBefore(string(g), generation)
	if from != nil {
		start = from
	}
	var keys [][]byte
	err = tx.Scan(start, end, func(key, _ []byte) error {
		keys = append(keys, append([]byte(nil), key...))
		if len(keys) == limit {
			next = append(append([]byte(nil), key...), 0)
			return store.ErrStop
		}
		return nil
	})
	for _, key := range keys {
		if err == nil {
			err = tx.Delete(key)
		}
	}
	return next, err
}
