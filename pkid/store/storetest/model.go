package storetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// model is what a store must be equal to: a map.
type model map[string]string

var errAborted = errors.New("aborted")

// testModel runs random updates, each of random operations, against the store
// and a map, and compares what each read gives, inside updates and between
// them. Runs share the store: each begins by emptying it.
func testModel(t *testing.T, s store.Store) {
	rapid.Check(t, func(rt *rapid.T) {
		state := model{}
		if err := s.Update(t.Context(), deleteAll); err != nil {
			rt.Fatal(err)
		}
		for range rapid.IntRange(1, 8).Draw(rt, "updates") {
			next := maps.Clone(state)
			abort := rapid.IntRange(0, 5).Draw(rt, "abort") == 0
			err := s.Update(t.Context(), func(tx store.Tx) error {
				for range rapid.IntRange(0, 10).Draw(rt, "operations") {
					operate(rt, tx, next)
				}
				if abort {
					return errAborted
				}
				return nil
			})
			switch {
			case abort && err != errAborted:
				rt.Fatalf("aborted update gave %v", err)
			case !abort && err != nil:
				rt.Fatal(err)
			case !abort:
				state = next
			}
			if err := s.View(t.Context(), func(r store.Reader) error { return state.compare(r, nil, nil) }); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

func deleteAll(tx store.Tx) error {
	return tx.Scan(nil, nil, func(key, _ []byte) error { return tx.Delete(key) })
}

// Values and counts have keys of their own, that lie between each other.
var (
	valueKey = rapid.SampledFrom([]string{"a", "b", "b\x00", "ca", "cc", "\xff"})
	countKey = rapid.SampledFrom([]string{"aa", "c", "cb", "z"})
	bound    = rapid.SampledFrom([]string{"", "a", "aa", "b", "b\x00", "bb", "c", "cb", "d", "\xff", "\xff\xff"})
)

func operate(rt *rapid.T, tx store.Tx, m model) {
	var err error
	switch op := rapid.IntRange(0, 5).Draw(rt, "operation"); op {
	case 0:
		key, value := valueKey.Draw(rt, "put"), rapid.StringN(0, 3, -1).Draw(rt, "value")
		err = tx.Put([]byte(key), []byte(value))
		m[key] = value
	case 1:
		key := rapid.OneOf(valueKey, countKey).Draw(rt, "delete")
		err = tx.Delete([]byte(key))
		delete(m, key)
	case 2:
		key, delta := countKey.Draw(rt, "add"), rapid.Int64Range(-3, 3).Draw(rt, "delta")
		err = tx.Add([]byte(key), delta)
		m[key] = string(binary.BigEndian.AppendUint64(nil, uint64(m.count(key)+delta)))
	case 3:
		key := rapid.OneOf(valueKey, countKey).Draw(rt, "get")
		var got []byte
		got, err = tx.Get([]byte(key))
		want, there := m[key]
		if errors.Is(err, store.ErrNotFound) != !there || string(got) != want {
			rt.Fatalf("Get(%q) gave %q, %v, want %q (%v)", key, got, err, want, there)
		}
		if !there {
			err = nil
		}
	case 4:
		key := countKey.Draw(rt, "count")
		var got int64
		got, err = tx.Count([]byte(key))
		if got != m.count(key) {
			rt.Fatalf("Count(%q) gave %d, want %d", key, got, m.count(key))
		}
	case 5:
		start, end := []byte(bound.Draw(rt, "start")), []byte(bound.Draw(rt, "end"))
		if len(end) == 0 {
			end = nil
		}
		err = m.compare(tx, start, end)
	}
	if err != nil {
		rt.Fatal(err)
	}
}

func (m model) count(key string) int64 {
	value, there := m[key]
	if !there {
		return 0
	}
	return int64(binary.BigEndian.Uint64([]byte(value)))
}

// compare scans [start, end) and says where it differs.
func (m model) compare(r store.Reader, start, end []byte) error {
	var want []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if key >= string(start) && (end == nil || key < string(end)) {
			want = append(want, fmt.Sprintf("%q=%q", key, m[key]))
		}
	}
	var got []string
	err := r.Scan(start, end, func(key, value []byte) error {
		got = append(got, fmt.Sprintf("%q=%q", key, value))
		return nil
	})
	if err == nil && !slices.Equal(got, want) {
		err = fmt.Errorf("Scan(%q, %q) shows %v, want %v", start, end, got, want)
	}
	return err
}
