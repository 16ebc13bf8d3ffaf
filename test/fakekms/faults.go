package fakekms

import "time"

// faults are what is switched on. All is of the server's lock.
type faults struct {
	fail    map[string]*planned // by operation
	lose    map[string]int
	broken  map[string]int
	empty   map[string]int
	delay   map[string]time.Duration
	quota   map[string]*bucket
	denied  map[string]bool
	hole    bool
	expired int
	settle  time.Duration // until what was made is found
	skew    time.Duration // of the clock
}

type planned struct {
	code  string
	times int
}

// bucket is a quota as the service has it: so many requests in each second.
type bucket struct {
	perSecond int
	second    int64
	used      int
}

func (f *faults) start() {
	f.fail, f.delay = map[string]*planned{}, map[string]time.Duration{}
	f.lose, f.broken, f.empty = map[string]int{}, map[string]int{}, map[string]int{}
	f.quota, f.denied = map[string]*bucket{}, map[string]bool{}
}

// Fail has the next requests for an operation answered with the error code,
// without being looked at.
func (s *Server) Fail(operation, code string, times int) {
	s.change(func(f *faults) { f.fail[operation] = &planned{code, times} })
}

// Lose has the answers to the next requests for an operation lost: the work is
// done, and the connection dropped.
func (s *Server) Lose(operation string, times int) {
	s.change(func(f *faults) { f.lose[operation] = times })
}

// Break has the answers to the next requests for an operation break off in the
// middle: the work is done, and said to be.
func (s *Server) Break(operation string, times int) {
	s.change(func(f *faults) { f.broken[operation] = times })
}

// Empty has the next requests for an operation answered with success and nothing
// else, as something that is not KMS may.
func (s *Server) Empty(operation string, times int) {
	s.change(func(f *faults) { f.empty[operation] = times })
}

// Delay has each request for an operation wait before it is looked at.
func (s *Server) Delay(operation string, d time.Duration) {
	s.change(func(f *faults) { f.delay[operation] = d })
}

// Quota throttles an operation beyond so many requests in a second; 0 lifts it.
func (s *Server) Quota(operation string, perSecond int) {
	s.change(func(f *faults) { f.quota[operation] = &bucket{perSecond: perSecond} })
}

// Deny has the key policy forbid an operation, or allow it again.
func (s *Server) Deny(operation string, denied bool) {
	s.change(func(f *faults) { f.denied[operation] = denied })
}

// BlackHole has every request wait for ever, or not any more.
func (s *Server) BlackHole(on bool) { s.change(func(f *faults) { f.hole = on }) }

// Expire has the credentials of the next requests be expired.
func (s *Server) Expire(times int) { s.change(func(f *faults) { f.expired = times }) }

// Settle has what is made from now on be found only after d, as the service's
// eventual consistency does.
func (s *Server) Settle(d time.Duration) { s.change(func(f *faults) { f.settle = d }) }

// Skew puts the server's clock forward, or back.
func (s *Server) Skew(d time.Duration) { s.change(func(f *faults) { f.skew = d }) }

// now is the time by the server's clock.
func (s *Server) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.faults.skew)
}

// SetState makes a key Enabled, Disabled or PendingDeletion.
func (s *Server) SetState(arn, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if k.ARN == arn {
			k.State = state
		}
	}
}

// MoveAlias points an alias at another key.
func (s *Server) MoveAlias(alias, arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if k.ARN == arn {
			s.aliases[alias] = &aliasEntry{target: k}
		}
	}
}

func (s *Server) change(do func(*faults)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(&s.faults)
}

// outcome is what the switches make of one request.
type outcome struct {
	hole    bool
	delay   time.Duration
	failure *Failure
	lose    bool
	broken  bool
	empty   bool
}

func (s *Server) plan(operation string) outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &s.faults
	o := outcome{hole: f.hole, delay: f.delay[operation]}
	if p := f.fail[operation]; p != nil && p.times > 0 {
		p.times--
		o.failure = fail(p.code, p.code+" was switched on")
	} else if q := f.quota[operation]; q != nil && !q.take(time.Now().Unix()) {
		o.failure = fail("ThrottlingException", "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.")
	} else if f.denied[operation] {
		o.failure = fail("AccessDeniedException", "User: arn:aws:iam::"+Account+":user/hsmd is not authorized to perform: kms:"+operation+" because no resource-based policy allows the kms:"+operation+" action")
	}
	if f.lose[operation] > 0 {
		f.lose[operation]--
		o.lose = true
	}
	if f.broken[operation] > 0 {
		f.broken[operation]--
		o.broken = true
	}
	if f.empty[operation] > 0 {
		f.empty[operation]--
		o.empty = true
	}
	return o
}

func (b *bucket) take(second int64) bool {
	if b.perSecond == 0 {
		return true
	}
	if b.second != second {
		b.second, b.used = second, 0
	}
	b.used++
	return b.used <= b.perSecond
}
