//go:build cgo

package pkcs11

import (
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

// pace fits the worker's processors to how long the library signs. To a library
// that computes in this process and takes some ten microseconds, one call after
// the other is best: two at once wait for each other's locks, and for each the
// runtime wakes a thread. A call that is long, since it computes RSA or asks an
// HSM, holds its processor until the runtime notices, and others must go on
// meanwhile: then all processors are used.
type pace struct {
	all  int32        // processors; 1: nothing to choose
	set  func(int)    // runtime.GOMAXPROCS
	now  atomic.Int32 // those in use
	mean atomic.Int64 // of the calls' durations, in nanoseconds
}

// Between the two bounds nothing changes, since each change stops the process
// for an instant.
const (
	shortCall = 150 * time.Microsecond
	longCall  = 300 * time.Microsecond
	// meanOver is how many calls the mean forgets over.
	meanOver = 64
)

// newPace takes all processors, and leaves them alone where the environment has
// GOMAXPROCS.
func newPace() *pace {
	all := runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") != "" {
		all = 1
	}
	return paceOf(all, func(n int) { runtime.GOMAXPROCS(n) })
}

func paceOf(all int, set func(int)) *pace {
	p := &pace{all: int32(all), set: set}
	p.now.Store(p.all)
	p.mean.Store(int64(longCall))
	return p
}

// took notes a call's duration. Calls that end together may overwrite each
// other's part in the mean.
func (p *pace) took(d time.Duration) {
	if p.all == 1 {
		return
	}
	mean := p.mean.Load()
	mean += (int64(min(d, 10*longCall)) - mean) / meanOver
	p.mean.Store(mean)
	now := p.now.Load()
	next := now
	switch {
	case mean < int64(shortCall):
		next = 1
	case mean > int64(longCall):
		next = p.all
	}
	if next != now && p.now.CompareAndSwap(now, next) {
		p.set(int(next))
	}
}
