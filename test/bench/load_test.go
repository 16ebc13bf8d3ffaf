package bench_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// run is what one load of callers did.
type run struct {
	callers int
	done    int
	took    time.Duration
	delays  []time.Duration // sorted
	cpu     map[string]time.Duration
}

// perSecond is the rate over the whole run.
func (r run) perSecond() float64 { return float64(r.done) / r.took.Seconds() }

// at is a quantile of the delays.
func (r run) at(q float64) time.Duration {
	if len(r.delays) == 0 {
		return 0
	}
	return r.delays[min(int(q*float64(len(r.delays))), len(r.delays)-1)]
}

// cpuEach is the CPU time of a process for each operation.
func (r run) cpuEach(process string) time.Duration {
	if r.done == 0 {
		return 0
	}
	return r.cpu[process] / time.Duration(r.done)
}

// load lets callers call op again and again for the time given; op's argument
// is the caller's number. A warm-up of a tenth of the time is not counted.
func load(b *testing.B, callers int, d time.Duration, watched processes, op func(caller int) error) run {
	b.Helper()
	var failure atomic.Pointer[error]
	phase := func(d time.Duration) ([]time.Duration, time.Duration) {
		var all []time.Duration
		var mu sync.Mutex
		var wg sync.WaitGroup
		start := time.Now()
		for caller := range callers {
			wg.Go(func() {
				mine := make([]time.Duration, 0, 1<<14)
				for last := start; last.Sub(start) < d && failure.Load() == nil; {
					if err := op(caller); err != nil {
						failure.CompareAndSwap(nil, &err)
						return
					}
					now := time.Now()
					mine = append(mine, now.Sub(last))
					last = now
				}
				mu.Lock()
				all = append(all, mine...)
				mu.Unlock()
			})
		}
		wg.Wait()
		return all, time.Since(start)
	}
	phase(d / 10)
	before := watched.cpu(b)
	delays, took := phase(d)
	after := watched.cpu(b)
	if err := failure.Load(); err != nil {
		b.Fatal(*err)
	}
	slices.Sort(delays)
	r := run{callers: callers, done: len(delays), took: took, delays: delays, cpu: map[string]time.Duration{}}
	for name := range after {
		r.cpu[name] = after[name] - before[name]
	}
	return r
}

// median is the run with the middle rate.
func median(runs []run) run {
	slices.SortFunc(runs, func(a, b run) int { return int(a.perSecond() - b.perSecond()) })
	return runs[len(runs)/2]
}
