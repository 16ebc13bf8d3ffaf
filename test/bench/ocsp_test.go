package bench_test

import (
	"fmt"
	"testing"
	"time"
)

// ocspPeer is what the best peer answers at these callers, a second, each
// answer signed by its CA key in its own memory, and its p99 in ms.
var ocspPeer = map[int]struct{ perSecond, p99 float64 }{1: {1611, 1.3}, 8: {3327, 11.7}, 32: {2282, 74}}

// BenchmarkOCSP asks pkid about certificates by POST over TCP: what it knows
// and has answered before, what it has to sign for the one who asks, because of
// a nonce or because it was never issued.
func BenchmarkOCSP(b *testing.B) {
	o := startOCSP(b)

	fmt.Printf("\n%s\n\n| about | callers | answers/s | best peer | ratio | p50 ms | p99 ms (best peer) | CPU µs each: pkid | hsmd + worker | MiB: pkid | hsmd + worker |\n|---|---|---|---|---|---|---|---|---|---|---|\n", machine())
	for _, q := range []struct {
		about         string
		nonce, issued bool
	}{{"known", false, true}, {"known, with a nonce", true, true}, {"never issued", false, false}} {
		for _, callers := range []int{1, 8, 32} {
			all := o.askers(b, callers, q.nonce, q.issued)
			var runs []run
			for range rounds {
				runs = append(runs, load(b, callers, roundTime, o.watched, func(n int) error { return all[n].ask() }))
			}
			r, best := median(runs), ocspPeer[callers]
			fmt.Printf("| %s | %d | %.0f | %.0f | %.1f | %.2f | %.1f (%.1f) | %d | %d | %.0f | %.0f |\n", q.about, callers, r.perSecond(), best.perSecond, r.perSecond()/best.perSecond,
				millis(r.at(0.5)), millis(r.at(0.99)), best.p99, r.cpuEach("pkid").Microseconds(), r.cpuEach("hsmd").Microseconds(), o.watched.memory(b, "pkid"), o.watched.memory(b, "hsmd"))
		}
	}
}

// BenchmarkIssuingBesideOCSP is what is left of issuing while others ask OCSP
// as fast as they get answers.
func BenchmarkIssuingBesideOCSP(b *testing.B) {
	const callers = 8
	o := startOCSP(b)
	var sign []*caller
	body := signBody(b)
	for range callers {
		sign = append(sign, issuer(b, o.p, "sign", body))
	}
	floods := []struct {
		name  string
		query []*asker
	}{{"alone", nil}, {"known", o.askers(b, callers, false, true)}, {"with a nonce", o.askers(b, callers, true, true)}}

	runs, answers := make([][]run, len(floods)), make([][]run, len(floods))
	for range rounds {
		for i, f := range floods {
			stop := make(chan struct{})
			done := make(chan run, 1)
			if f.query != nil {
				go func() { done <- flood(b, stop, f.query) }()
			}
			runs[i] = append(runs[i], load(b, callers, roundTime, o.watched, func(n int) error { return sign[n].ask() }))
			close(stop)
			if f.query != nil {
				answers[i] = append(answers[i], <-done)
			}
		}
	}
	fmt.Printf("\n%s\n\n| OCSP flood | certificates/s | of alone | p50 ms | p99 ms | OCSP answers/s beside |\n|---|---|---|---|---|---|\n", machine())
	alone := median(runs[0])
	for i, f := range floods {
		r, beside := median(runs[i]), 0.0
		if f.query != nil {
			beside = median(answers[i]).perSecond()
		}
		fmt.Printf("| %s | %.0f | %.2f | %.1f | %.1f | %.0f |\n", f.name, r.perSecond(), r.perSecond()/alone.perSecond(), millis(r.at(0.5)), millis(r.at(0.99)), beside)
	}
}

// flood asks until it is stopped.
func flood(b *testing.B, stop <-chan struct{}, all []*asker) run {
	start, counts := time.Now(), make(chan int, len(all))
	for _, a := range all {
		go func() {
			n := 0
			defer func() { counts <- n }()
			for ; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := a.ask(); err != nil {
					b.Error(err)
					return
				}
			}
		}()
	}
	r := run{callers: len(all)}
	for range all {
		r.done += <-counts
	}
	r.took = time.Since(start)
	return r
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
