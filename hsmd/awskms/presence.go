package awskms

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

const (
	// most is how many requests of an account are under way at a time. They share
	// hsmd's connections with those to tokens, which have to get through when KMS
	// is silent; 500 signatures a second keep some ten under way.
	most = 100

	// silences is after how many tries without an answer, and none with, KMS
	// counts as away, and lookEvery how often one request looks whether it is back.
	silences  = 3
	lookEvery = time.Second
)

// presence knows whether KMS answers. While it does not, requests are refused at
// once, rather than each waiting out its deadline.
type presence struct {
	slots chan struct{}

	mu     sync.Mutex
	silent int       // tries in a row
	since  time.Time // when the first of them ended
	again  time.Time // when the next request may look
	why    error
}

func newPresence() *presence { return &presence{slots: make(chan struct{}, most)} }

// enter waits for a place among the requests under way; leave gives it back.
func (p *presence) enter(ctx context.Context) error {
	p.mu.Lock()
	now := time.Now()
	if p.silent >= silences {
		if now.Before(p.again) {
			defer p.mu.Unlock()
			return p.refusal()
		}
		p.again = now.Add(lookEvery)
	}
	p.mu.Unlock()
	timer := time.NewTimer(longestWait)
	defer timer.Stop()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return &wire.Error{Code: wire.Busy, RetryAfter: longestWait, Message: fmt.Sprintf("%d requests to AWS KMS are under way", most)}
	case <-ctx.Done():
		return wire.AsError(ctx.Err())
	}
}

// leave takes note of how a try ended; gaveUp is that its caller did, which says
// nothing of KMS.
func (p *presence) leave(err error, gaveUp bool) {
	<-p.slots
	if _, own := errors.AsType[*wire.Error](err); own || err != nil && answered(err) == 0 && gaveUp {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil || answered(err) != 0 {
		p.silent = 0
		return
	}
	if p.silent++; p.silent == 1 {
		p.since = time.Now()
	}
	p.again, p.why = time.Now().Add(lookEvery), err
	if _, none := errors.AsType[noCredentials](err); !none && errors.Is(err, context.DeadlineExceeded) {
		p.why = context.DeadlineExceeded
	}
}

func (p *presence) refusal() error {
	if none, ok := errors.AsType[noCredentials](p.why); ok {
		return &wire.Error{Code: wire.Unavailable, RetryAfter: lookEvery, Message: shorten(none.Error())}
	}
	return &wire.Error{Code: wire.Unavailable, RetryAfter: lookEvery, Message: fmt.Sprintf("AWS KMS does not answer, and is not waited for: %v", p.why)}
}
