package pebblestore_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
)

// The tests in this file leave goroutines behind, where a failed disk holds
// Pebble; those that look for leaks come before, by file name.

// TestFailedWrite fails one write to the disk, once: the first, the second, and
// so on through opening, commits, changes of the log and flushes. The disk then
// works again, but what it lost it lost, so the store must not go on writing.
func TestFailedWrite(t *testing.T) {
	total := countWrites(t)
	t.Logf("%d writes and syncs to fail", total)
	if total < 100 {
		t.Fatal("too few to meet a change of logs and a flush")
	}
	for n := 1; n <= total; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			failWrite(t, n)
		})
	}
}

const (
	updates = 120
	valueOf = 8000 // 120 of them fill the first memtables

)

// load does the updates, and tells how many were acknowledged.
func load(s *pebblestore.Store, t *testing.T) (acknowledged int, err error) {
	for n := range updates {
		err := s.Update(t.Context(), func(tx store.Tx) error {
			value := make([]byte, valueOf)
			for i := range value {
				value[i] = byte(i * n) // not too compressible
			}
			return errors.Join(tx.Put(fmt.Appendf(nil, "key/%04d", n), value), tx.Add([]byte("count"), 1))
		})
		if err != nil {
			return n, err
		}
	}
	return updates, nil
}

func isWrite(kind errorfs.OpKind) bool {
	switch kind {
	case errorfs.OpCreate, errorfs.OpReuseForWrite, errorfs.OpRename, errorfs.OpFileWrite,
		errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return true
	}
	return false
}

func countWrites(t *testing.T) int {
	var seen atomic.Int64
	fs := errorfs.Wrap(vfs.NewCrashableMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if isWrite(op.Kind) {
			seen.Add(1)
		}
		return nil
	}))
	s := open(t, pebblestore.Config{Path: "state", FS: fs})
	if n, err := load(s, t); err != nil {
		t.Fatalf("update %d: %v", n, err)
	}
	n := int(seen.Load())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

func failWrite(t *testing.T, n int) {
	mem := vfs.NewCrashableMem()
	var seen atomic.Int64
	failed := make(chan string, 1)
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if isWrite(op.Kind) && seen.Add(1) == int64(n) {
			failed <- fmt.Sprintf("%d of %s", op.Kind, op.Path)
			return syscall.ENOSPC
		}
		return nil
	}))
	s, err := pebblestore.Open(pebblestore.Config{Path: "state", FS: fs})
	if err != nil {
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Open gave %v", err)
		}
		reopened(t, mem, 0, 0)
		return
	}
	acknowledged, err := load(s, t)
	tried := acknowledged
	if err != nil {
		tried++ // its outcome is open
	} else if len(failed) == 0 {
		// Timing made this run write less. Fail nothing, prove nothing, but
		// the store must be whole.
		if err := s.Close(); (err != nil) != (len(failed) != 0) {
			t.Errorf("Close gave %v", err)
		}
		reopened(t, mem, acknowledged, tried)
		return
	}
	if len(failed) == 0 {
		t.Fatalf("nothing failed, but update %d gave %v", tried, err)
	}
	refused(t, s, acknowledged, <-failed)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Errorf("Close: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Close hangs")
	}
	reopened(t, mem, acknowledged, tried)
}

// refused checks that a store whose write has failed is read-only, and shows
// what was acknowledged and no more.
func refused(t *testing.T, s *pebblestore.Store, acknowledged int, what string) {
	for _, err := range []error{
		s.Update(t.Context(), func(tx store.Tx) error { return tx.Put([]byte("late"), nil) }),
		s.Writable(),
	} {
		if !errors.Is(err, store.ErrReadOnly) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("after %s failed: %v", what, err)
		}
	}
	if err := showsUpTo(s, acknowledged, acknowledged); err != nil {
		t.Errorf("after %s failed: %v", what, err)
	}
}

// reopened opens what a power cut at this moment would leave, and checks that
// it shows at least the updates acknowledged, and nothing but whole ones.
func reopened(t *testing.T, mem *vfs.MemFS, acknowledged, tried int) {
	s := open(t, pebblestore.Config{Path: "state", FS: mem.CrashClone(vfs.CrashCloneCfg{})})
	defer s.Close()
	if err := showsUpTo(s, acknowledged, tried); err != nil {
		t.Errorf("opened again: %v", err)
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Add([]byte("count"), 1) }); err != nil {
		t.Errorf("opened again: %v", err)
	}
}

func showsUpTo(s *pebblestore.Store, least, most int) error {
	return s.View(context.Background(), func(r store.Reader) error {
		keys := 0
		err := r.Scan([]byte("key/"), []byte("key0"), func(key, value []byte) error {
			if want := fmt.Sprintf("key/%04d", keys); string(key) != want || len(value) != valueOf {
				return fmt.Errorf("found %s, want %s", key, want)
			}
			keys++
			return nil
		})
		if err != nil {
			return err
		}
		count, err := r.Count([]byte("count"))
		if keys < least || keys > most || int(count) != keys {
			return fmt.Errorf("%d keys and a count of %d (%v), want %d to %d", keys, count, err, least, most)
		}
		return err
	})
}
