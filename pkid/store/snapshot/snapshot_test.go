package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/pkid/store/snapshot"
)

func open(t *testing.T) store.Store {
	t.Helper()
	s, err := pebblestore.Open(pebblestore.Config{Path: "state", FS: vfs.NewMem(), MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func fill(t *testing.T, s store.Store, n int) {
	t.Helper()
	err := s.Update(t.Context(), func(tx store.Tx) error {
		for i := range n {
			if err := tx.Put(fmt.Appendf(nil, "k/%06d", i), bytes.Repeat([]byte{byte(i)}, i%500)); err != nil {
				return err
			}
		}
		return errors.Join(tx.Add([]byte("count/a"), 42), tx.Add([]byte("count/b"), -7), tx.Put([]byte("eight"), []byte("12345678")))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestThereAndBack(t *testing.T) {
	s := open(t)
	fill(t, s, 40_000) // more than one batch
	var first, second bytes.Buffer
	was, err := snapshot.Write(t.Context(), s, &first)
	if err != nil {
		t.Fatal(err)
	}
	other := open(t)
	is, err := snapshot.Restore(t.Context(), bytes.NewReader(first.Bytes()), other)
	if err != nil || *is != *was || was.Records != 40_003 {
		t.Fatalf("%+v, %+v: %v", is, was, err)
	}
	if _, err := snapshot.Write(t.Context(), other, &second); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("a snapshot of it is another: %v", err)
	}
	err = other.Update(t.Context(), func(tx store.Tx) error { return tx.Add([]byte("count/a"), 1) })
	if err != nil {
		t.Fatal(err)
	}
	err = other.View(t.Context(), func(r store.Reader) error {
		n, err := r.Count([]byte("count/a"))
		if n != 43 {
			t.Errorf("a count goes on as %d", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.Restore(t.Context(), bytes.NewReader(first.Bytes()), other); !errors.Is(err, snapshot.ErrNotEmpty) {
		t.Errorf("over a state that is there: %v", err)
	}
}

// TestDamage changes, cuts and lengthens a snapshot at each octet.
func TestDamage(t *testing.T) {
	s := open(t)
	fill(t, s, 20)
	var whole bytes.Buffer
	if _, err := snapshot.Write(t.Context(), s, &whole); err != nil {
		t.Fatal(err)
	}
	nothing := func(bool, []byte, []byte) error { return nil }
	for i := range whole.Len() {
		changed := bytes.Clone(whole.Bytes())
		changed[i] ^= 1
		for name, octets := range map[string][]byte{"changed": changed, "cut": whole.Bytes()[:i]} {
			if _, err := snapshot.Read(bytes.NewReader(octets), nothing); !errors.Is(err, snapshot.ErrDamaged) {
				t.Errorf("%s at %d: %v", name, i, err)
			}
		}
	}
	if _, err := snapshot.Read(io.MultiReader(bytes.NewReader(whole.Bytes()), strings.NewReader("x")), nothing); !errors.Is(err, snapshot.ErrDamaged) {
		t.Errorf("lengthened: %v", err)
	}
}

// TestConsistent takes a snapshot while two values change together.
func TestConsistent(t *testing.T) {
	s := open(t)
	fill(t, s, 5000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		var err error
		for i := 0; err == nil && ctx.Err() == nil; i++ {
			v := fmt.Append(nil, i)
			err = s.Update(context.Background(), func(tx store.Tx) error { return errors.Join(tx.Put([]byte("a"), v), tx.Put([]byte("z"), v)) })
		}
		done <- err
	}()
	for range 10 {
		var out bytes.Buffer
		if _, err := snapshot.Write(t.Context(), s, &out); err != nil {
			t.Fatal(err)
		}
		seen := map[string]string{}
		if _, err := snapshot.Read(&out, func(_ bool, k, v []byte) error { seen[string(k)] = string(v); return nil }); err != nil {
			t.Fatal(err)
		}
		if seen["a"] != seen["z"] {
			t.Errorf("a is %s, z is %s", seen["a"], seen["z"])
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("pkid snapshot 1\n\x00\x00"))
	f.Add([]byte("pkid snapshot 1\n\x01\x01a\x01b\x00\x01"))
	f.Fuzz(func(t *testing.T, octets []byte) {
		// Whoever finds a SHA-256 by chance may.
		if _, err := snapshot.Read(bytes.NewReader(octets), func(bool, []byte, []byte) error { return nil }); err != nil && !errors.Is(err, snapshot.ErrDamaged) {
			t.Error(err)
		}
	})
}
