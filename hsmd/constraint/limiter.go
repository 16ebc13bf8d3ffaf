package constraint

import (
	"fmt"
	"sync"
	"time"
)

// Rate says how often a key signs; 0 does not bound.
type Rate struct {
	Name             string // whose constraints
	PerSecond, Burst int
	PerDay           int // certificates, from midnight to midnight UTC
}

// Busy says that a key has signed as often as it may.
type Busy struct {
	Reason string
	Wait   time.Duration // after which another try can help
}

// Error is the reason.
func (b *Busy) Error() string { return b.Reason }

// Limiter counts the signatures of key pairs, each by the SHA-256 of its public
// key. It outlives the sets, so that a reload begins no new day, and a restart
// does not where Count and Restore tell the next Limiter of those before.
type Limiter struct {
	mu     sync.Mutex
	meters map[[32]byte]*meter
}

// meter is what is known of one key pair. free is when the burst of each of its
// rates is whole again, as in the generic cell rate algorithm.
type meter struct {
	free         map[string]time.Time // by Rate.Name
	day          int64                // since 1970
	certificates int
}

// Take counts one signature where each of the rates has room for it, else none
// and gives a *Busy.
func (l *Limiter) Take(id [32]byte, rates []Rate, certificate bool, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.meter(id)
	// A clock that is set back begins no new day either.
	if day := dayOf(now); day > m.day {
		m.day, m.certificates = day, 0
	}
	for _, r := range rates {
		if r.PerDay > 0 && certificate && m.certificates >= r.PerDay {
			return &Busy{fmt.Sprintf("constraints of %q: max_per_day %d: as many certificates were signed since midnight UTC", r.Name, r.PerDay),
				time.Unix((m.day+1)*86400, 0).Sub(now)}
		}
		if wait := r.after(m.free[r.Name], now).Sub(now) - r.full(); wait > 0 {
			m.free[r.Name] = r.owed(m.free[r.Name], now)
			return &Busy{fmt.Sprintf("constraints of %q: rate %d: as many signatures a second were made", r.Name, r.PerSecond), wait}
		}
	}
	for _, r := range rates {
		m.free[r.Name] = r.after(m.free[r.Name], now)
	}
	if certificate {
		m.certificates++
	}
	return nil
}

func (l *Limiter) meter(id [32]byte) *meter {
	m := l.meters[id]
	if m == nil {
		if m = (&meter{free: map[string]time.Time{}}); l.meters == nil {
			l.meters = map[[32]byte]*meter{}
		}
		l.meters[id] = m
	}
	return m
}

func dayOf(t time.Time) int64 { return t.Unix() / 86400 }

// after is when the burst is whole again if the key signs now.
func (r *Rate) after(free, now time.Time) time.Time { return r.owed(free, now).Add(r.interval()) }

// owed is free within its bounds: not past, and no more than a full burst ahead,
// whatever the clock has done.
func (r *Rate) owed(free, now time.Time) time.Time {
	if most := now.Add(r.full()); free.After(most) {
		return most
	}
	if free.Before(now) {
		return now
	}
	return free
}

// interval is the time from one signature to the next, full that of a burst.
func (r *Rate) interval() time.Duration {
	if r.PerSecond == 0 {
		return 0
	}
	return time.Second / time.Duration(r.PerSecond)
}

func (r *Rate) full() time.Duration { return time.Duration(r.Burst) * r.interval() }
