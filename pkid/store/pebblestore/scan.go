package pebblestore

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// firstKey is the least key that is not the engine's.
var firstKey = []byte{1}

// scanCheckEvery is how many keys a scan passes between two looks at its
// context.
const scanCheckEvery = 256

// own is a change of the scanning update itself.
type own struct {
	key string
	change
}

// scan merges the snapshot with the update's own changes, which are in order of
// key. It returns the end of what it has read: nil if that is all up to end,
// else the least key after the last one that fn was given.
func (r *reader) scan(start, end []byte, changes []own, fn func(key, value []byte) error) (readTo []byte, err error) {
	if r.snap == nil {
		return nil, errFinished
	}
	if reserved(start) {
		start = firstKey
	}
	if end != nil && bytes.Compare(start, end) >= 0 {
		return nil, nil
	}
	it, err := r.snap.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return nil, fmt.Errorf("pebblestore: scan: %w", err)
	}
	defer func() {
		if cerr := it.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("pebblestore: scan: %w", cerr)
		}
	}()

	valid := it.First()
	for n := 1; valid || len(changes) > 0; n++ {
		if n%scanCheckEvery == 0 && r.ctx.Err() != nil {
			return nil, r.ctx.Err()
		}
		key, value, stored, shown, err := r.next(it, valid, &changes)
		if err != nil {
			return nil, err
		}
		if shown {
			if err := fn(key, value); err != nil {
				readTo = append(bytes.Clone(key), 0)
				if errors.Is(err, store.ErrStop) {
					err = nil
				}
				return readTo, err
			}
		}
		if stored {
			valid = it.Next()
		}
	}
	return nil, it.Error()
}

// next is the lesser of the snapshot's key and the first own change, which it
// takes off. stored says whether the snapshot's key was used up, shown whether
// there is something to show: a deleted key is not.
func (r *reader) next(it *pebble.Iterator, valid bool, changes *[]own) (key, value []byte, stored, shown bool, err error) {
	if valid {
		key = it.Key()
		value, err = it.ValueAndErr()
		if err != nil {
			return nil, nil, false, false, fmt.Errorf("pebblestore: scan: %w", err)
		}
	}
	if len(*changes) == 0 {
		return key, value, true, true, nil
	}
	mine := (*changes)[0]
	order := -1
	if valid {
		order = bytes.Compare([]byte(mine.key), key)
	}
	if order > 0 {
		return key, value, true, true, nil
	}
	*changes = (*changes)[1:]
	if order < 0 {
		value, err = mine.over(nil, store.ErrNotFound)
	} else {
		value, err = mine.over(value, nil)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, order == 0, false, nil
	}
	return []byte(mine.key), value, order == 0, true, err
}
