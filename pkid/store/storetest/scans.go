package storetest

import (
	"errors"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/store"
)

func testScan(t *testing.T, s store.Store) {
	set(t, s, "a", "1", "b", "2", "b\x00", "3", "ba", "4", "c", "5", "\xff\xff", "6")
	update(t, s, func(tx store.Tx) error { return tx.Delete([]byte("ba")) })
	const all = "a=1 b=2 b\x00=3 c=5 \xff\xff=6"
	for _, c := range []struct {
		start, end []byte
		want       string
	}{
		{nil, nil, all},
		{[]byte{}, nil, all},
		{nil, []byte("b"), "a=1"},
		{[]byte("b"), []byte("c"), "b=2 b\x00=3"},
		{[]byte("b\x00"), nil, "b\x00=3 c=5 \xff\xff=6"},
		{[]byte("bb"), []byte("bc"), ""},
		{[]byte("c"), []byte("c"), ""},
		{[]byte("c"), []byte("a"), ""},
		{nil, []byte{}, ""},
		{[]byte("\xff"), nil, "\xff\xff=6"},
	} {
		read := func(r store.Reader) error {
			got, err := listed(r, c.start, c.end)
			if got != c.want {
				t.Errorf("Scan(%q, %q) shows %q, want %q", c.start, c.end, got, c.want)
			}
			return err
		}
		view(t, s, read)
		update(t, s, func(tx store.Tx) error { return read(tx) })
	}
}

func testScanStops(t *testing.T, s store.Store) {
	set(t, s, "a", "1", "b", "2", "c", "3")
	broken := errors.New("broken")
	for _, c := range []struct{ give, want error }{
		{store.ErrStop, nil},
		{broken, broken},
	} {
		view(t, s, func(r store.Reader) error {
			var seen string
			err := r.Scan(nil, nil, func(key, _ []byte) error {
				seen += string(key)
				if string(key) == "b" {
					return c.give
				}
				return nil
			})
			if err != c.want || seen != "ab" {
				t.Errorf("ended with %v: Scan gave %v after %q", c.give, err, seen)
			}
			return nil
		})
	}
}

func testScanOwnWrites(t *testing.T, s store.Store) {
	set(t, s, "b", "2", "d", "4", "f", "6")
	update(t, s, func(tx store.Tx) error {
		check(t, tx.Put([]byte("a"), []byte("own")))
		check(t, tx.Put([]byte("d"), []byte("own")))
		check(t, tx.Put([]byte("e"), []byte("own")))
		check(t, tx.Delete([]byte("f")))
		check(t, tx.Delete([]byte("g")))
		check(t, tx.Put([]byte("z"), []byte("own")))
		for _, c := range []struct {
			start, end, want string
		}{
			{"a", "zz", "a=own b=2 d=own e=own z=own"},
			{"b", "e", "b=2 d=own"},
			{"f", "z", ""},
			{"z", "zz", "z=own"},
		} {
			got, err := listed(tx, []byte(c.start), []byte(c.end))
			if got != c.want || err != nil {
				t.Errorf("Scan(%q, %q) shows %q (%v), want %q", c.start, c.end, got, err, c.want)
			}
		}
		// Emptying a range while scanning it is what tidying does.
		return tx.Scan(nil, nil, func(key, _ []byte) error { return tx.Delete(key) })
	})
	view(t, s, func(r store.Reader) error {
		got, err := listed(r, nil, nil)
		if got != "" {
			t.Errorf("left after deleting all: %q", got)
		}
		return err
	})
}
