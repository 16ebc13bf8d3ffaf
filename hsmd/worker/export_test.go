package worker

import (
	"io"
	"log/slog"
	"time"
)

// Breaker is a breaker whose pauses end when they are told to.
type Breaker struct{ *breaker }

// NewBreaker makes a closed one.
func NewBreaker(log *slog.Logger) Breaker {
	return Breaker{&breaker{token: `label "ca"`, log: log, silent: map[string]bool{}}}
}

// Enter and Leave are a request's, Drop a definition's.
var (
	Enter = Breaker.enter
	Leave = Breaker.leave
	Drop  = Breaker.forget
)

// EndPause gives how long the breaker would have been open, and ends that.
func (b Breaker) EndPause() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = time.Now().Add(-time.Nanosecond)
	return b.pause
}

// Until is when the breaker lets the next one through.
func (b Breaker) Until() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until
}

// Relay passes output on until it ends.
func Relay(log *slog.Logger, output io.Reader) {
	(&relay{log: log, done: make(chan struct{})}).run(output)
}
