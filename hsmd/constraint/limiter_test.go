package constraint_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/constraint"
)

func contains(s, piece string) bool { return strings.Contains(s, piece) }

// taker counts how many signatures at one moment a limiter lets pass, up to 100.
func take(l *constraint.Limiter, id byte, at time.Time, certificate bool, rates ...constraint.Rate) (n int, wait time.Duration) {
	for n = range 100 {
		busy, ok := errors.AsType[*constraint.Busy](l.Take([32]byte{id}, rates, certificate, at))
		if ok {
			return n, busy.Wait
		}
	}
	return 100, 0
}

func TestRate(t *testing.T) {
	var l constraint.Limiter
	ten := constraint.Rate{Name: "k", PerSecond: 10, Burst: 20}
	expect := func(what string, at time.Time, want int, wantWait time.Duration, rates ...constraint.Rate) {
		t.Helper()
		if n, wait := take(&l, 1, at, false, rates...); n != want || wait != wantWait {
			t.Errorf("%s: %d pass, then %s, want %d and %s", what, n, wait, want, wantWait)
		}
	}
	expect("a burst", now, 20, 100*time.Millisecond, ten)
	expect("nothing left", now.Add(50*time.Millisecond), 0, 50*time.Millisecond, ten)
	expect("a second later", now.Add(time.Second), 10, 100*time.Millisecond, ten)
	expect("long after", now.Add(time.Hour), 20, 100*time.Millisecond, ten)
	expect("the clock is set back", now, 0, 100*time.Millisecond, ten)
	expect("and goes on", now.Add(time.Second), 10, 100*time.Millisecond, ten)
	expect("the stricter of two", now.Add(2*time.Hour), 3, time.Second, ten, constraint.Rate{Name: "other", PerSecond: 1, Burst: 3})
	if n, _ := take(&l, 2, now, false, ten); n != 20 {
		t.Errorf("another key pair: %d pass", n)
	}
	if n, _ := take(&l, 3, now, true, constraint.Rate{}); n != 100 {
		t.Errorf("no rate: %d pass", n)
	}
}

func TestMaxPerDay(t *testing.T) {
	var l constraint.Limiter
	five := constraint.Rate{Name: "k", PerDay: 5}
	if n, wait := take(&l, 1, now, true, five); n != 5 || wait != 12*time.Hour {
		t.Errorf("%d pass, then %s", n, wait)
	}
	if n, _ := take(&l, 1, now, false, five); n != 100 {
		t.Errorf("%d CRLs pass", n)
	}
	if n, _ := take(&l, 1, now.Add(-24*time.Hour), true, five); n != 0 {
		t.Errorf("with the clock set back, %d pass", n)
	}
	if n, _ := take(&l, 1, now.Add(12*time.Hour), true, five); n != 5 {
		t.Errorf("the next day %d pass", n)
	}
}

func TestTally(t *testing.T) {
	five := constraint.Rate{Name: "k", PerDay: 5}
	var first, second constraint.Limiter
	take(&first, 1, now.Add(-24*time.Hour), true, five) // yesterday
	for range 3 {
		first.Count([32]byte{2}, now)
	}
	first.Count([32]byte{2}, now.Add(-24*time.Hour)) // as a log has it whose clock was set back
	tally := first.AppendTally(nil, now)
	if err := second.Restore(tally); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[byte]int{1: 5, 2: 2, 3: 5} {
		if n, _ := take(&second, id, now, true, five); n != want {
			t.Errorf("key pair %d: %d pass, want %d", id, n, want)
		}
	}
	for cut := range tally {
		if err := new(constraint.Limiter).Restore(tally[:cut]); err == nil && cut > 0 {
			t.Errorf("a tally of %d octets, cut to %d, is taken", len(tally), cut)
		}
	}
}

// TestClockThatWasAhead: what was counted for a day long after today counts for
// none after a restart, and what was counted for tomorrow does.
func TestClockThatWasAhead(t *testing.T) {
	five := constraint.Rate{Name: "k", PerDay: 5}
	var before, after constraint.Limiter
	take(&before, 1, now.Add(400*24*time.Hour), true, five)
	take(&before, 2, now.Add(24*time.Hour), true, five)
	if err := after.Restore(before.AppendTally(nil, now)); err != nil {
		t.Fatal(err)
	}
	if n := after.DropAhead(now); n != 1 {
		t.Errorf("of %d key pairs", n)
	}
	for id, want := range map[byte]int{1: 5, 2: 0} {
		if n, _ := take(&after, id, now, true, five); n != want {
			t.Errorf("key pair %d: %d pass, want %d", id, n, want)
		}
	}
}
