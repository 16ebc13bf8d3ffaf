package storetest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// testStarvation: an update that reads much and takes long gets through though
// others keep changing what it reads.
func testStarvation(t *testing.T, s store.Store) {
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				err := s.Update(ctx, func(tx store.Tx) error {
					return tx.Put([]byte("busy/"+strconv.Itoa(i)), strconv.AppendInt(nil, int64(n), 10))
				})
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	runs := 0
	go func() {
		defer close(done)
		check(t, s.Update(ctx, func(tx store.Tx) error {
			runs++
			if _, err := listed(tx, []byte("busy/"), []byte("busy0")); err != nil {
				return err
			}
			time.Sleep(30 * time.Millisecond)
			return tx.Put([]byte("done"), nil)
		}))
	}()
	within(t, done, "the long update")
	stop()
	wg.Wait()
	if runs < 2 {
		t.Errorf("the long update ran %d times: nothing overtook it, so nothing was tested", runs)
	}
	wantGet(t, s, "done", "")
}

func testCancelled(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ran := false
	err := s.Update(ctx, func(tx store.Tx) error { ran = true; return tx.Put([]byte("a"), nil) })
	if !errors.Is(err, context.Canceled) || ran {
		t.Errorf("Update with a cancelled context: %v, ran: %v", err, ran)
	}
	if err := s.View(ctx, func(store.Reader) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("View with a cancelled context: %v", err)
	}
	wantGet(t, s, "a", "-")

	// Cancelled while others commit: nil means written, an error of the
	// context means not.
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			key := "raced/" + strconv.Itoa(i)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := s.Update(ctx, func(tx store.Tx) error {
				time.AfterFunc(time.Duration(i)*10*time.Microsecond, cancel)
				return tx.Put([]byte(key), nil)
			})
			want := ""
			if errors.Is(err, context.Canceled) {
				want = "-"
			} else {
				check(t, err)
			}
			wantGet(t, s, key, want)
		})
	}
	wg.Wait()
	set(t, s, "later", "x") // would carry along what was only late
	view(t, s, func(r store.Reader) error { _, err := listed(r, nil, nil); return err })
}

func testCloseWaits(t *testing.T, s store.Store) {
	inUpdate, inView, proceed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		check(t, s.Update(context.Background(), func(tx store.Tx) error {
			close(inUpdate)
			<-proceed
			return tx.Put([]byte("a"), nil)
		}))
	})
	wg.Go(func() {
		check(t, s.View(context.Background(), func(r store.Reader) error {
			close(inView)
			<-proceed
			_, err := get(r, "a")
			return err
		}))
	})
	<-inUpdate
	<-inView
	closed := make(chan struct{})
	go func() {
		check(t, s.Close())
		close(closed)
	}()
	select {
	case <-closed:
		t.Error("Close did not wait for what was under way")
	case <-time.After(100 * time.Millisecond):
	}
	close(proceed)
	wg.Wait()
	within(t, closed, "Close")
}

func testClosed(t *testing.T, s store.Store) {
	check(t, s.Writable())
	check(t, s.Close())
	check(t, s.Close())
	if err := s.Update(t.Context(), func(store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Update after Close: %v", err)
	}
	if err := s.View(t.Context(), func(store.Reader) error { return nil }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("View after Close: %v", err)
	}
	if err := s.Writable(); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Writable after Close: %v", err)
	}
}
