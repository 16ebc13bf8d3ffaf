package storetest

import (
	"math"
	"sync"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/store"
)

func adds(pairs ...any) func(store.Tx) error {
	return func(tx store.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := tx.Add([]byte(pairs[i].(string)), int64(pairs[i+1].(int))); err != nil {
				return err
			}
		}
		return nil
	}
}

func testCount(t *testing.T, s store.Store) {
	wantCount(t, s, "n", 0)
	update(t, s, adds("n", 5, "m", -3))
	update(t, s, adds("n", 1, "n", 1, "m", 1))
	wantCount(t, s, "n", 7)
	wantCount(t, s, "m", -2)
	wantGet(t, s, "n", "\x00\x00\x00\x00\x00\x00\x00\x07")
	wantGet(t, s, "m", "\xff\xff\xff\xff\xff\xff\xff\xfe")
	view(t, s, func(r store.Reader) error {
		got, err := listed(r, []byte("n"), nil)
		if got != "n=\x00\x00\x00\x00\x00\x00\x00\x07" {
			t.Errorf("a scan shows the count as %q", got)
		}
		return err
	})
	update(t, s, func(tx store.Tx) error { return tx.Delete([]byte("n")) })
	wantCount(t, s, "n", 0)
	wantGet(t, s, "n", "-")
	update(t, s, adds("n", 4))
	wantCount(t, s, "n", 4)
}

func testCountOwnWrites(t *testing.T, s store.Store) {
	update(t, s, adds("n", 10, "gone", 10))
	update(t, s, func(tx store.Tx) error {
		want := func(key string, want int64) {
			t.Helper()
			if got, err := tx.Count([]byte(key)); got != want || err != nil {
				t.Errorf("count %s is %d (%v), want %d", key, got, err, want)
			}
		}
		check(t, tx.Add([]byte("n"), 1))
		want("n", 11)
		check(t, tx.Delete([]byte("gone")))
		want("gone", 0)
		check(t, tx.Add([]byte("gone"), 2))
		want("gone", 2)
		check(t, tx.Add([]byte("new"), 3))
		want("new", 3)
		got, err := listed(tx, []byte("n"), []byte("nf"))
		if got != "n=\x00\x00\x00\x00\x00\x00\x00\x0b new=\x00\x00\x00\x00\x00\x00\x00\x03" &&
			got != "n=\x00\x00\x00\x00\x00\x00\x00\x0b" {
			t.Errorf("a scan shows %q", got)
		}
		return err
	})
	wantCount(t, s, "n", 11)
	wantCount(t, s, "gone", 2)
	wantCount(t, s, "new", 3)
}

// testCountMisused: an update that mixes up values and counts, or lets a count
// overflow, fails as a whole and alone.
func testCountMisused(t *testing.T, s store.Store) {
	set(t, s, "value", "not a count")
	update(t, s, adds("n", math.MaxInt64))
	for name, fn := range map[string]func(store.Tx) error{
		"Add to a value":   adds("fine", 1, "value", 1),
		"overflow":         adds("fine", 1, "n", 1),
		"own value":        func(tx store.Tx) error { check(t, tx.Put([]byte("v"), []byte("x"))); return adds("v", 1)(tx) },
		"Count of a value": func(tx store.Tx) error { _, err := tx.Count([]byte("value")); return err },
	} {
		if err := s.Update(t.Context(), fn); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	wantGet(t, s, "value", "not a count")
	wantCount(t, s, "n", math.MaxInt64)
	wantGet(t, s, "fine", "-")
	set(t, s, "after", "works")
}

func testConcurrentAdds(t *testing.T, s store.Store) {
	const callers, each = 64, 20
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				check(t, s.Update(t.Context(), adds("n", 3, "m", -1)))
			}
		})
	}
	wg.Wait()
	wantCount(t, s, "n", 3*callers*each)
	wantCount(t, s, "m", -callers*each)
}

func testAddsDoNotConflict(t *testing.T, s store.Store) {
	runs := overtaken(t, s, adds("n", 1), adds("n", 10), adds("other", 1))
	if runs != 1 {
		t.Errorf("an update that only adds ran %d times", runs)
	}
	wantCount(t, s, "n", 11)
}

func testCountIsRead(t *testing.T, s store.Store) {
	for name, read := range map[string]func(store.Tx) error{
		"Count": func(tx store.Tx) error { _, err := tx.Count([]byte("n")); return err },
		"Get":   func(tx store.Tx) error { _, err := get(tx, "n"); return err },
		"Scan":  func(tx store.Tx) error { _, err := listed(tx, []byte("n"), []byte("o")); return err },
		"own":   func(tx store.Tx) error { check(t, tx.Add([]byte("n"), 1)); _, err := tx.Count([]byte("n")); return err },
	} {
		runs := overtaken(t, s, read, adds("n", 1), adds("other", 1))
		if runs != 2 {
			t.Errorf("%s: an update whose count was changed ran %d times, want 2", name, runs)
		}
	}
}
