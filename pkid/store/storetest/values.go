package storetest

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/store"
)

func testGet(t *testing.T, s store.Store) {
	wantGet(t, s, "a", "-")
	large := strings.Repeat("x", 3<<20)
	set(t, s, "a", "1", "b", "", "large", large, "\x01", "low", "\xff\xff", "high")
	wantGet(t, s, "a", "1")
	wantGet(t, s, "b", "")
	wantGet(t, s, "c", "-")
	wantGet(t, s, "large", large)
	wantGet(t, s, "\x01", "low")
	wantGet(t, s, "\xff\xff", "high")
	set(t, s, "a", "2")
	wantGet(t, s, "a", "2")
}

func testReservedKeys(t *testing.T, s store.Store) {
	for _, key := range [][]byte{nil, {}, {0}, []byte("\x00format")} {
		for name, op := range map[string]func(store.Tx) error{
			"Put":    func(tx store.Tx) error { return tx.Put(key, []byte("v")) },
			"Delete": func(tx store.Tx) error { return tx.Delete(key) },
			"Add":    func(tx store.Tx) error { return tx.Add(key, 1) },
			"Get":    func(tx store.Tx) error { _, err := tx.Get(key); return err },
			"Count":  func(tx store.Tx) error { _, err := tx.Count(key); return err },
		} {
			err := s.Update(t.Context(), op)
			if err == nil || errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s of %q: %v", name, key, err)
			}
		}
	}
	view(t, s, func(r store.Reader) error {
		for _, start := range [][]byte{nil, {}, {0}, {0, 'a'}} {
			if list, err := listed(r, start, nil); list != "" || err != nil {
				t.Errorf("a scan of a new store from %q shows %q (%v)", start, list, err)
			}
		}
		return nil
	})
}

func testSlicesAreCopied(t *testing.T, s store.Store) {
	var kept []byte
	update(t, s, func(tx store.Tx) error {
		key, value := []byte("key"), []byte("value")
		if err := tx.Put(key, value); err != nil {
			return err
		}
		copy(key, "xxx")
		copy(value, "xxxxx")
		var err error
		kept, err = tx.Get([]byte("key"))
		if string(kept) != "value" {
			t.Errorf("own value is %q after the caller changed its slice", kept)
		}
		copy(key, "del")
		if err := tx.Delete(key); err != nil {
			return err
		}
		copy(key, "key")
		return err
	})
	wantGet(t, s, "key", "value")
	view(t, s, func(r store.Reader) error {
		var err error
		kept, err = r.Get([]byte("key"))
		return err
	})
	for i := range 100 {
		set(t, s, "key", strings.Repeat("y", i))
	}
	if !bytes.Equal(kept, []byte("value")) {
		t.Errorf("a value that was kept became %q", kept)
	}
}

func testDelete(t *testing.T, s store.Store) {
	set(t, s, "a", "1", "b", "2")
	update(t, s, func(tx store.Tx) error {
		if err := tx.Delete([]byte("never there")); err != nil {
			return err
		}
		return tx.Delete([]byte("a"))
	})
	wantGet(t, s, "a", "-")
	wantGet(t, s, "b", "2")
}

func testOwnWrites(t *testing.T, s store.Store) {
	set(t, s, "a", "1")
	update(t, s, func(tx store.Tx) error {
		want := func(key, want string) {
			t.Helper()
			if got, err := get(tx, key); got != want || err != nil {
				t.Errorf("%s holds %q (%v), want %q", key, got, err, want)
			}
		}
		check(t, tx.Put([]byte("a"), []byte("2")))
		want("a", "2")
		check(t, tx.Delete([]byte("a")))
		want("a", "-")
		check(t, tx.Put([]byte("b"), nil))
		want("b", "")
		check(t, tx.Put([]byte("a"), []byte("3")))
		want("a", "3")
		return nil
	})
	wantGet(t, s, "a", "3")
	wantGet(t, s, "b", "")
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
