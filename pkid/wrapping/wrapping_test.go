package wrapping_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/pkid/wrapping"
)

func open(t *testing.T, now *time.Time) *wrapping.Store {
	t.Helper()
	state, err := pebblestore.Open(pebblestore.Config{Path: "state", FS: vfs.NewMem(), MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { state.Close() })
	return &wrapping.Store{Store: state, Now: func() time.Time { return *now }, Log: slog.New(slog.DiscardHandler)}
}

func keys(t *testing.T, s *wrapping.Store, look func(key, value []byte)) (n int) {
	t.Helper()
	err := s.Store.View(t.Context(), func(r store.Reader) error {
		return r.Scan([]byte{1}, nil, func(key, value []byte) error { n++; look(key, value); return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOneReader(t *testing.T) {
	now := time.Date(2026, 11, 25, 5, 0, 0, 0, time.UTC)
	s := open(t, &now)
	secret := []byte("-----BEGIN PRIVATE KEY-----")
	info, err := s.Wrap(t.Context(), secret, time.Minute, "pki/issue/web", "")
	if err != nil {
		t.Fatal(err)
	}
	keys(t, s, func(key, value []byte) {
		if bytes.Contains(append(key, value...), []byte("PRIVATE")) || bytes.Contains(append(key, value...), []byte(info.Token)) {
			t.Errorf("%q gives it away", key)
		}
	})
	if seen, err := s.Lookup(t.Context(), info.Token); err != nil || seen.Token != "" || seen.CreationPath != "pki/issue/web" || seen.TTL != 60 {
		t.Errorf("looked up: %+v, %v", seen, err)
	}
	var readers atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			answer, _, err := s.Unwrap(context.Background(), info.Token)
			switch {
			case err == nil && bytes.Equal(answer, secret):
				readers.Add(1)
			case !errors.Is(err, wrapping.ErrNotFound):
				t.Errorf("%q, %v", answer, err)
			}
		})
	}
	all.Wait()
	if readers.Load() != 1 {
		t.Errorf("%d have read it", readers.Load())
	}
	if n := keys(t, s, func(_, _ []byte) {}); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

func TestEnd(t *testing.T) {
	now := time.Date(2026, 11, 25, 5, 0, 0, 0, time.UTC)
	s := open(t, &now)
	var tokens []string
	for range 600 {
		info, err := s.Wrap(t.Context(), []byte("x"), time.Minute, "p", "")
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, info.Token)
	}
	later, err := s.Wrap(t.Context(), []byte("y"), time.Hour, "p", "")
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	if _, _, err := s.Unwrap(t.Context(), tokens[0]); !errors.Is(err, wrapping.ErrNotFound) {
		t.Errorf("read after its end: %v", err)
	}
	if _, err := s.Lookup(t.Context(), tokens[1]); !errors.Is(err, wrapping.ErrNotFound) {
		t.Errorf("looked up after its end: %v", err)
	}
	now = now.Add(time.Second)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := keys(t, s, func(_, _ []byte) {}); n != 2 {
		t.Errorf("%d keys are left, of one", n)
	}
	if answer, _, err := s.Unwrap(t.Context(), later.Token); err != nil || string(answer) != "y" {
		t.Errorf("the other: %q, %v", answer, err)
	}
	for _, none := range []string{"", "hvs.nothing", later.Token} {
		if _, _, err := s.Unwrap(t.Context(), none); !errors.Is(err, wrapping.ErrNotFound) {
			t.Errorf("%q: %v", none, err)
		}
	}
}
