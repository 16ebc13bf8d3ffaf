package tidy_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/tidy"
)

// turns is a store that lets the second update run while the third waits, as an
// engine does that gives its turn alone to one that has often lost.
type turns struct {
	store.Store
	third   func() // begins it
	calls   atomic.Int32
	waiting chan struct{} // closed when the third waits
	over    chan struct{} // closed when the second is over
}

func (s *turns) Update(ctx context.Context, fn func(store.Tx) error) error {
	switch s.calls.Add(1) {
	case 2:
		defer close(s.over)
		go s.third()
		<-s.waiting
	case 3:
		close(s.waiting)
		<-s.over
	}
	return s.Store.Update(ctx, fn)
}

// TestTurn: a page whose turn it is needs nothing that is held by who waits for
// his.
func TestTurn(t *testing.T) {
	state := openStore(t, vfs.NewMem())
	fill(t, state, 10)
	s := &turns{Store: state, waiting: make(chan struct{}), over: make(chan struct{})}
	d := openTidier(t, s, &authority{published: now})
	set := make(chan error, 1)
	s.third = func() {
		_, err := d.SetAuto(context.Background(), func(a *tidy.Auto) { a.Interval = time.Hour })
		set <- err
	}
	if err := d.Start(context.Background(), params()); err != nil { // the first update; the run's first page is the second
		t.Fatal(err)
	}
	select {
	case err := <-set:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("a page and a change of config/auto-tidy wait for each other")
	}
	if got := wait(t, d); got.State != tidy.Finished {
		t.Errorf("%+v", got)
	}
	d.Close()
	state.Close()
}
