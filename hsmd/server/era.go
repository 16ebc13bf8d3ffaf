package server

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// era is the requests that began in one stretch of time. What they may still
// need of a configuration that is no longer in force is given up when the last
// of them is answered.
type era struct {
	running atomic.Int64
	past    atomic.Bool // no request begins in it any more
	closing sync.Once
	over    chan struct{} // closed when it is past and the last is answered
}

func newEra() *era { return &era{over: make(chan struct{})} }

// begin counts a request to the era of now. The state that it loads afterwards
// stays usable until it calls end.
func (s *Server) begin() *era {
	for {
		e := s.era.Load()
		e.running.Add(1)
		if s.era.Load() == e {
			return e
		}
		e.end()
	}
}

func (e *era) end() {
	if e.running.Add(-1) == 0 && e.past.Load() {
		e.closing.Do(func() { close(e.over) })
	}
}

// endEra begins another era, and gives what is closed when the one before is
// over.
func (s *Server) endEra() <-chan struct{} {
	e := s.era.Swap(newEra())
	e.running.Add(1) // one more, so that an era without requests ends too
	e.past.Store(true)
	e.end()
	return e.over
}

const (
	// longestEra is longer than any request may take (wire/README.md).
	longestEra = 150 * time.Second

	// maxLeft bounds the definitions that replaced ones have left behind.
	maxLeft = 1000
)

// afterwards is what waits for the requests of now to be answered.
type afterwards struct {
	mu      sync.Mutex
	waiting []func()
	running bool
	idle    sync.Cond
}

// Afterwards has do called when every request that has begun by now is
// answered. What is handed in first is called first.
func (s *Server) Afterwards(do func()) {
	a := &s.afterwards
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = append(a.waiting, do)
	if !a.running {
		a.running = true
		go s.workOff()
	}
}

// workOff does what waits, one era after another.
func (s *Server) workOff() {
	a := &s.afterwards
	for {
		a.mu.Lock()
		due := a.waiting
		a.waiting = nil
		if len(due) == 0 {
			a.running = false
			a.idle.Broadcast()
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()
		limit := time.NewTimer(longestEra)
		select {
		case <-s.endEra():
		case <-limit.C:
			s.log.Error("a request has taken longer than any may; it is not waited for")
		}
		limit.Stop()
		for _, do := range due {
			do()
		}
	}
}

// Wait returns when nothing waits for requests any more. It is for the end,
// when no request comes.
func (s *Server) Wait() {
	a := &s.afterwards
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.running {
		a.idle.Wait()
	}
}

// crowded refuses another change while too many wait for requests to end.
func (s *Server) crowded() error {
	a := &s.afterwards
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) < maxLeft {
		return nil
	}
	return &wire.Error{Code: wire.Busy, RetryAfter: time.Second, Message: "too many definitions were replaced while requests with them are under way"}
}
