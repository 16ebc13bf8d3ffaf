package awskms

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/hsmpki/hsmpki/wire"
)

const (
	// defaultRate is half of the quota that an account has for signatures with
	// RSA, and with ECC, in a region (1,000 a second), which others share.
	defaultRate = 500

	// longestWait is how long a request waits for its turn; then it is told when
	// to come again.
	longestWait = 2 * time.Second

	// KMS counts in seconds: after a refusal the pace is halved once a second,
	// and goes up by a tenth of what it may be each second without one.
	paceStep = time.Second
)

// pace keeps requests below the account's quota, and slows down where others
// use it up.
type pace struct {
	limit *rate.Limiter

	mu      sync.Mutex
	top     float64
	changed time.Time
}

func newPace(perSecond int) *pace {
	return &pace{limit: rate.NewLimiter(rate.Limit(perSecond), burst(perSecond)), top: float64(perSecond)}
}

// burst is what may go at once: little, so that no second has more than a tenth
// over its share.
func burst(perSecond int) int { return max(1, perSecond/10) }

func (p *pace) setTop(perSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.top == float64(perSecond) {
		return // it may go slower just now
	}
	p.top = float64(perSecond)
	p.limit.SetBurst(burst(perSecond))
	p.limit.SetLimit(rate.Limit(perSecond))
}

// wait returns when it is a request's turn.
func (p *pace) wait(ctx context.Context) error {
	turn := p.limit.Reserve()
	delay := turn.Delay()
	if delay == 0 {
		return nil
	}
	if end, ok := ctx.Deadline(); delay > longestWait || ok && delay > time.Until(end) {
		turn.Cancel()
		return busy(delay)
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		turn.Cancel()
		return wire.AsError(ctx.Err())
	}
}

func busy(after time.Duration) error {
	after = max(after.Round(100*time.Millisecond), time.Second)
	return &wire.Error{Code: wire.Busy, RetryAfter: after, Message: fmt.Sprintf("requests to AWS KMS are at their rate; again in %s", after)}
}

// throttled slows down; many requests of one second count once.
func (p *pace) throttled() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.changed) >= paceStep {
		p.changed = now
		p.limit.SetLimit(max(p.limit.Limit()/2, 1))
	}
}

// answered goes faster again.
func (p *pace) answered() {
	if float64(p.limit.Limit()) >= p.top {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.changed) >= paceStep {
		p.changed = now
		p.limit.SetLimit(rate.Limit(min(float64(p.limit.Limit())+p.top/10, p.top)))
	}
}
