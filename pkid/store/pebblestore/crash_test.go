package pebblestore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
)

const (
	writers = 8
	readers = 2
	cuts    = 80
)

// TestPowerCut runs writers and readers and takes what a disk would hold if the
// power went, just before and just after syncs. Opened again, each such disk
// must show all that had been acknowledged and all that any reader had seen,
// and of each update all or nothing.
func TestPowerCut(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	disk := newCuttingDisk()
	s := open(t, pebblestore.Config{Path: "state", FS: disk})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				if err := s.Update(t.Context(), func(tx store.Tx) error { return step(tx, w, n) }); err != nil {
					t.Error(err)
					return
				}
				disk.known[w].raise(n)
			}
		})
	}
	for range readers {
		wg.Go(func() {
			for ctx.Err() == nil {
				last, err := checkState(s)
				if err != nil {
					t.Errorf("reader: %v", err)
					return
				}
				for w, n := range last {
					disk.known[w].raise(n)
				}
			}
		})
	}
	<-disk.enough
	stop()
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for i, cut := range disk.cuts {
		recovered := open(t, pebblestore.Config{Path: "state", FS: cut.disk})
		last, err := checkState(recovered)
		if err != nil {
			t.Errorf("cut %d, %s: %v", i, cut.when, err)
		}
		for w, n := range cut.known {
			if last[w] < n {
				t.Errorf("cut %d, %s: writer %d had got to %d, after the crash it is at %d", i, cut.when, w, n, last[w])
			}
		}
		if err := recovered.Update(t.Context(), func(tx store.Tx) error { return step(tx, 0, last[0]+1) }); err != nil {
			t.Errorf("cut %d: update after the crash: %v", i, err)
		}
		if err := recovered.Close(); err != nil {
			t.Error(err)
		}
	}
}

// step is writer w's nth update: two halves of an item, large enough that logs
// and memtables change often, the number of the last item, and a count that all
// writers add to.
func step(tx store.Tx, w, n int) error {
	lastKey := fmt.Appendf(nil, "last/%d", w)
	last, err := tx.Get(lastKey)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if n > 1 && string(last) != strconv.Itoa(n-1) {
		return fmt.Errorf("writer %d finds %q before step %d", w, last, n)
	}
	half := make([]byte, 4000)
	for i := range half {
		half[i] = byte(rand.Uint32())
	}
	return errors.Join(
		tx.Put(fmt.Appendf(nil, "item/%d/%06d/a", w, n), half),
		tx.Put(lastKey, strconv.AppendInt(nil, int64(n), 10)),
		tx.Put(fmt.Appendf(nil, "item/%d/%06d/b", w, n), half),
		tx.Add([]byte("total"), 1),
	)
}

// checkState gives each writer's last step, and an error if the state is one
// that no number of whole updates leads to.
func checkState(s store.Store) (last [writers]int, err error) {
	err = s.View(context.Background(), func(r store.Reader) error {
		sum := 0
		for w := range writers {
			value, err := r.Get(fmt.Appendf(nil, "last/%d", w))
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			last[w], _ = strconv.Atoi(string(value))
			sum += last[w]
			halves := 0
			prefix := fmt.Sprintf("item/%d/", w)
			err = r.Scan([]byte(prefix), []byte(prefix+"\xff"), func(key, value []byte) error {
				want := fmt.Sprintf("%s%06d/%c", prefix, halves/2+1, "ab"[halves%2])
				if string(key) != want || len(value) != 4000 {
					return fmt.Errorf("found %s (%d octets), want %s", key, len(value), want)
				}
				halves++
				return nil
			})
			if err != nil {
				return err
			}
			if halves != 2*last[w] {
				return fmt.Errorf("writer %d: %d halves of %d items", w, halves, last[w])
			}
		}
		total, err := r.Count([]byte("total"))
		if int(total) != sum {
			return fmt.Errorf("the count is %d, the items are %d (%v)", total, sum, err)
		}
		return err
	})
	return last, err
}

// highest is the greatest number that anybody outside has learned of.
type highest struct{ atomic.Int64 }

func (h *highest) raise(n int) {
	for old := h.Load(); old < int64(n) && !h.CompareAndSwap(old, int64(n)); old = h.Load() {
	}
}

// cut is a disk after the power went, and what was known before.
type cut struct {
	when  string
	disk  *vfs.MemFS
	known [writers]int
}

// cuttingDisk is a disk that keeps copies of what a power cut would leave.
type cuttingDisk struct {
	vfs.FS
	mem   *vfs.MemFS
	known [writers]highest

	mu     sync.Mutex
	cuts   []cut
	syncs  int
	random *rand.Rand
	enough chan struct{}
}

func newCuttingDisk() *cuttingDisk {
	mem := vfs.NewCrashableMem()
	return &cuttingDisk{FS: mem, mem: mem, enough: make(chan struct{}), random: rand.New(rand.NewPCG(rand.Uint64(), 0))}
}

func (d *cuttingDisk) cut(when string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncs++
	if len(d.cuts) == cuts || d.syncs%3 != 0 {
		return
	}
	c := cut{when: when}
	for w := range c.known { // before the copy: what comes later may be lost
		c.known[w] = int(d.known[w].Load())
	}
	percent := []int{0, 0, 50, 100}[d.random.IntN(4)]
	c.disk = d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: d.random})
	if d.cuts = append(d.cuts, c); len(d.cuts) == cuts {
		close(d.enough)
	}
}

func (d *cuttingDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, c)
	return &cuttingFile{f, d, name}, err
}

func (d *cuttingDisk) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(old, name, c)
	return &cuttingFile{f, d, name}, err
}

func (d *cuttingDisk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	return &cuttingFile{f, d, name}, err
}

type cuttingFile struct {
	vfs.File
	disk *cuttingDisk
	name string
}

func (f *cuttingFile) around(sync func() error) error {
	f.disk.cut("before a sync of " + f.name)
	err := sync()
	f.disk.cut("after a sync of " + f.name)
	return err
}

func (f *cuttingFile) Sync() error     { return f.around(f.File.Sync) }
func (f *cuttingFile) SyncData() error { return f.around(f.File.SyncData) }
