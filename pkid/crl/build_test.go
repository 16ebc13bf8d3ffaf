package crl_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/crl"
	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// counting is a store that counts the entries of the group that are read.
type counting struct {
	store.Store
	read atomic.Int64
}

func (s *counting) View(ctx context.Context, fn func(store.Reader) error) error {
	return s.Store.View(ctx, func(r store.Reader) error { return fn(countingReader{r, &s.read}) })
}

type countingReader struct {
	store.Reader
	read *atomic.Int64
}

func (r countingReader) Scan(start, end []byte, fn func(key, value []byte) error) error {
	entries, _ := store.Of(uuid).CRLEntries(string(group))
	return r.Reader.Scan(start, end, func(key, value []byte) error {
		if bytes.HasPrefix(key, entries) {
			r.read.Add(1)
		}
		return fn(key, value)
	})
}

// TestScans: a build reads each entry twice, and looking at the list before it is
// signed takes one page more.
func TestScans(t *testing.T) {
	a := open(t)
	counted := &counting{Store: a.store}
	u := crl.New(crl.Settings{UUID: uuid, Store: counted, Source: looked{a}, Now: a.clock, Log: slog.New(slog.DiscardHandler)})
	defer u.Close()
	const entries = 30_000
	var serials []int64
	for n := range int64(entries) {
		serials = append(serials, large+n)
	}
	a.mustRevoke(serials...)
	if err := u.Rotate(t.Context(), group, crl.Complete); err != nil {
		t.Fatal(err)
	}
	if read := counted.read.Load(); read < 2*entries || read > 2*entries+entries/2 {
		t.Errorf("%d of %d entries were read, want each twice", read, entries)
	}
}

// looked is an authority whose lists are looked at.
type looked struct{ *authority }

func (a looked) Signing(ctx context.Context, g inventory.Group) (*crl.Signing, error) {
	s, err := a.authority.Signing(ctx, g)
	s.Look = func(_, _ []byte) error { return nil }
	return s, err
}
