package awskms

import (
	"context"
	"errors"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go/middleware"
)

// operation is one of KMS's, as its client offers it.
type operation[In, Out any] func(*kms.Client, context.Context, *In, ...func(*kms.Options)) (*Out, error)

// maxTries bounds the tries for what is safe to repeat, and retryPause is before
// the second.
const (
	maxTries   = 3
	retryPause = 100 * time.Millisecond
)

// ask asks what is safe to repeat, at the given pace. It is asked again where KMS
// or the network was at fault, once where it was throttled, once with new
// credentials where these had expired, and once with KMS's time where this
// machine's is wrong; all of it within ctx.
func ask[In, Out any](ctx context.Context, a *account, p *pace, do operation[In, Out], in *In) (*Out, error) {
	var throttled, renewed, corrected bool
	for try := 1; ; try++ {
		out, err := once(ctx, a, p, do, in)
		if err == nil {
			return out, nil
		}
		again := false
		switch code := apiCode(err); {
		case isExpired(code) && !renewed:
			renewed, again = true, a.renewCredentials()
		case isThrottled(code) && !throttled:
			throttled, again = true, true
		case isSkewed(err) && !corrected:
			corrected, again = true, true
		case isThrottled(code), isExpired(code):
		default:
			again = isPassing(err)
		}
		if !again || try == maxTries || !pause(ctx, retryPause<<(try-1)) {
			return nil, err
		}
	}
}

// once asks a single time.
func once[In, Out any](ctx context.Context, a *account, p *pace, do operation[In, Out], in *In) (*Out, error) {
	c, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.authenticate(ctx, c); err != nil {
		return nil, err
	}
	if err := a.presence.enter(ctx); err != nil {
		return nil, err
	}
	var out *Out
	if err = p.wait(ctx); err == nil {
		trying, cancel := context.WithTimeout(ctx, a.patience)
		defer cancel()
		out, err = do(c.client, trying, in)
	}
	a.presence.leave(err, ctx.Err() != nil)
	switch {
	case err == nil:
		p.answered()
	case isThrottled(apiCode(err)):
		p.throttled()
	}
	if err != nil && ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	return out, err
}

// pause is false where ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// requestID is KMS's, which CloudTrail has too.
func requestID(m middleware.Metadata) string {
	id, _ := awsmiddleware.GetRequestIDMetadata(m)
	return id
}
