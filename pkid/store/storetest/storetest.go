// Package storetest is the conformance suite of [store.Store]: what every
// engine must do. An engine's own tests call [Run]; what only that engine
// promises (crashes, disk errors, speed) they test themselves. The package
// knows no engine. Start reading at Run.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// patience is how long a single test may wait for something that must happen.
const patience = 30 * time.Second

// Run runs the suite. open gives a new, empty store; the suite closes it.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"Get", testGet},
		{"ReservedKeys", testReservedKeys},
		{"SlicesAreCopied", testSlicesAreCopied},
		{"Delete", testDelete},
		{"OwnWrites", testOwnWrites},
		{"Scan", testScan},
		{"ScanStops", testScanStops},
		{"ScanOwnWrites", testScanOwnWrites},
		{"Count", testCount},
		{"CountOwnWrites", testCountOwnWrites},
		{"CountMisused", testCountMisused},
		{"ConcurrentAdds", testConcurrentAdds},
		{"AddsDoNotConflict", testAddsDoNotConflict},
		{"CountIsRead", testCountIsRead},
		{"ErrorAborts", testErrorAborts},
		{"PanicAborts", testPanicAborts},
		{"ViewIsConsistent", testViewIsConsistent},
		{"UseAfterReturn", testUseAfterReturn},
		{"LostUpdate", testLostUpdate},
		{"WriteSkew", testWriteSkew},
		{"Phantom", testPhantom},
		{"PhantomAfterStop", testPhantomAfterStop},
		{"BankTransfers", testBankTransfers},
		{"Serializable", testSerializable},
		{"Starvation", testStarvation},
		{"Cancelled", testCancelled},
		{"CloseWaits", testCloseWaits},
		{"Closed", testClosed},
		{"Model", testModel},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			c.test(t, s)
		})
	}
}

func update(t *testing.T, s store.Store, fn func(store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func view(t *testing.T, s store.Store, fn func(store.Reader) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatalf("View: %v", err)
	}
}

// set puts pairs of key and value.
func set(t *testing.T, s store.Store, pairs ...string) {
	t.Helper()
	update(t, s, func(tx store.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := tx.Put([]byte(pairs[i]), []byte(pairs[i+1])); err != nil {
				return err
			}
		}
		return nil
	})
}

// get reads one key; "-" stands for none.
func get(r store.Reader, key string) (string, error) {
	value, err := r.Get([]byte(key))
	if errors.Is(err, store.ErrNotFound) {
		return "-", nil
	}
	return string(value), err
}

// wantGet checks what key holds, "-" for nothing.
func wantGet(t *testing.T, s store.Store, key, want string) {
	t.Helper()
	view(t, s, func(r store.Reader) error {
		got, err := get(r, key)
		if got != want {
			t.Errorf("%s holds %q, want %q", key, got, want)
		}
		return err
	})
}

// wantCount checks the count under key.
func wantCount(t *testing.T, s store.Store, key string, want int64) {
	t.Helper()
	view(t, s, func(r store.Reader) error {
		got, err := r.Count([]byte(key))
		if got != want {
			t.Errorf("count %s is %d, want %d", key, got, want)
		}
		return err
	})
}

// listed writes what a scan of [start, end) shows as "k=v k=v".
func listed(r store.Reader, start, end []byte) (string, error) {
	var list string
	err := r.Scan(start, end, func(key, value []byte) error {
		if list != "" {
			list += " "
		}
		list += fmt.Sprintf("%s=%s", key, value)
		return nil
	})
	return list, err
}

// within fails the test unless done is closed in time.
func within(t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("still waiting after %v: %s", patience, what)
	}
}

// overtaken runs an update whose first run, after read, is overtaken by
// another update, and tells how often it ran.
func overtaken(t *testing.T, s store.Store, read func(store.Tx) error, other, write func(store.Tx) error) (runs int) {
	t.Helper()
	err := s.Update(t.Context(), func(tx store.Tx) error {
		runs++
		if err := read(tx); err != nil {
			return err
		}
		if runs == 1 {
			done := make(chan error)
			go func() { done <- s.Update(context.Background(), other) }()
			if err := <-done; err != nil {
				return err
			}
		}
		return write(tx)
	})
	if err != nil {
		t.Fatalf("Update: %v", err)
	}
	return runs
}
