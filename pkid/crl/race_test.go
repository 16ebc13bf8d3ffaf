package crl_test

import (
	"context"
	"crypto/x509"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/crl"
)

// revokers revoke one serial number after the other, each its own, until they
// are stopped. What known gives of a revoker was durable before.
type revokers struct {
	a     *authority
	known [4]atomic.Int64
	stop  atomic.Bool
	wg    sync.WaitGroup
}

func startRevokers(t *testing.T, a *authority) *revokers {
	r := &revokers{a: a}
	for w := range r.known {
		r.wg.Go(func() {
			for n := int64(1); !r.stop.Load(); n++ {
				if err := a.revoke(serial(w, n)); err != nil {
					t.Error(err)
					return
				}
				r.known[w].Store(n)
			}
		})
	}
	return r
}

func serial(revoker int, n int64) int64 { return int64(revoker+1)<<32 + n }

// durable gives all that is known to be.
func (r *revokers) durable() (serials []int64) {
	for w := range r.known {
		for n := range r.known[w].Load() {
			serials = append(serials, serial(w, n+1))
		}
	}
	return serials
}

func (r *revokers) finish() {
	r.stop.Store(true)
	r.wg.Wait()
}

// TestCoverage: with revokers, readers and others who rotate at the same time,
// each list has what was durable when it was asked for, and each reader's
// numbers only grow.
func TestCoverage(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	a := newAuthority(t, vfs.NewMem())
	defer a.end()
	r := startRevokers(t, a)
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			last := int64(0)
			for range 40 {
				want := r.durable()
				list, err := a.list(crl.Complete)
				if err != nil {
					t.Error(err)
					return
				}
				if number := list.Number.Int64(); number < last || !has(list, want...) {
					t.Errorf("number %d after %d, with %d entries where %d were durable", number, last, len(list.RevokedCertificateEntries), len(want))
				}
				last = list.Number.Int64()
			}
		})
	}
	readers.Go(func() {
		for range 20 {
			if err := a.Rotate(context.Background(), group, crl.Complete); err != nil {
				t.Error(err)
			}
			a.Tend(context.Background())
		}
	})
	readers.Wait()
	r.finish()
}

// TestDeltaCoverage: a complete list and the delta list on it have together what
// was durable when the delta list was made.
func TestDeltaCoverage(t *testing.T) {
	a := open(t)
	a.configure(map[string]any{"auto_rebuild": true, "enable_delta": true})
	a.mustList(crl.Complete)
	r := startRevokers(t, a)
	defer r.finish()
	bases := map[int64]*x509.RevocationList{}
	for n := range 60 {
		if n%4 == 0 {
			if err := a.Rotate(context.Background(), group, crl.Complete); err != nil {
				t.Fatal(err)
			}
		}
		complete := a.mustList(crl.Complete)
		bases[complete.Number.Int64()] = complete
		want := r.durable()
		if err := a.Rotate(context.Background(), group, crl.Delta); err != nil {
			t.Fatal(err)
		}
		delta := a.mustList(crl.Delta)
		on := bases[base(t, delta)]
		if on == nil {
			t.Fatalf("a delta list on %d, which was never there", base(t, delta))
		}
		both := &x509.RevocationList{RevokedCertificateEntries: slices.Concat(on.RevokedCertificateEntries, delta.RevokedCertificateEntries)}
		if !has(both, want...) {
			t.Errorf("%d and %d entries where %d were durable", len(on.RevokedCertificateEntries), len(delta.RevokedCertificateEntries), len(want))
		}
		a.Tend(context.Background()) // drops old generations
	}
}

// crash is a disk after the power went, and what was known before.
type crash struct {
	disk    *vfs.MemFS
	serials []int64
	number  int64 // the greatest that a reader had seen
}

// TestPowerCut cuts the power again and again, while lists of several parts are
// made and read: before a number is taken, before and in the middle of a
// signature, and at any time. Afterwards all that was durable is on the next
// list, its number is greater than all that were seen, and nothing that
// belongs to no list is left.
func TestPowerCut(t *testing.T) {
	mem := vfs.NewCrashableMem()
	a := newAuthority(t, mem)
	a.configure(map[string]any{"max_crl_entries": -1, "auto_rebuild": true, "enable_delta": true})
	many := make([]int64, 45_000)
	for i := range many {
		many[i] = large + int64(i)
	}
	for from := 0; from < len(many); from += 5_000 {
		a.mustRevoke(many[from : from+5_000]...)
	}
	r := startRevokers(t, a)
	var crashes []crash
	var seen atomic.Int64
	var mu sync.Mutex
	cut := func() {
		mu.Lock()
		defer mu.Unlock()
		c := crash{serials: r.durable(), number: seen.Load()} // before the copy: what comes later may be lost
		c.disk = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 50, 100}[rand.IntN(3)], RNG: rand.New(rand.NewPCG(rand.Uint64(), 0))})
		crashes = append(crashes, c)
	}
	a.change(func() {
		a.sign = func(message io.Reader) error {
			cut()
			_, _ = io.CopyN(io.Discard, message, 3<<19) // an empty list ends before
			cut()
			return nil
		}
	})
	for range 2 {
		for _, kind := range []crl.Kind{crl.Complete, crl.Delta} {
			cut()
			if err := a.Rotate(context.Background(), group, kind); err != nil {
				t.Fatal(err)
			}
			seen.Store(a.mustList(kind).Number.Int64())
			cut()
		}
		a.Tend(context.Background())
	}
	r.finish()
	a.end()
	for n := rand.IntN(2); n < len(crashes); n += 2 { // each takes a while
		restart(t, n, crashes[n], many)
	}
}

func restart(t *testing.T, n int, c crash, many []int64) {
	t.Helper()
	a := newAuthority(t, c.disk)
	defer a.end()
	a.configure(map[string]any{"max_crl_entries": -1, "auto_rebuild": true, "enable_delta": true})
	for _, kind := range []crl.Kind{crl.Complete, crl.Delta} {
		if _, err := a.list(kind); err != nil {
			t.Errorf("cut %d: the %s list that there is: %v", n, kind, err)
		}
	}
	a.later(time.Hour)
	if err := a.Rotate(context.Background(), group, crl.Complete); err != nil {
		t.Fatal(err)
	}
	complete, delta := a.mustList(crl.Complete), a.mustList(crl.Delta)
	if !has(complete, many...) || !has(complete, c.serials...) {
		t.Errorf("cut %d: %d entries where %d were durable", n, len(complete.RevokedCertificateEntries), len(many)+len(c.serials))
	}
	if complete.Number.Int64() <= c.number {
		t.Errorf("cut %d: number %v after %d was seen", n, complete.Number, c.number)
	}
	if want := len(complete.Raw)>>20 + 1 + len(delta.Raw)>>20 + 1; a.parts() != want {
		t.Errorf("cut %d: %d parts, want %d", n, a.parts(), want)
	}
}
