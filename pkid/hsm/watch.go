package hsm

import (
	"context"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

const (
	// watchEvery is how often the keys are looked at while nothing happens.
	watchEvery = time.Minute
	// watchAgain is the pause after an attempt that failed.
	watchAgain = 5 * time.Second
)

// Watch describes all keys that pkid may use, now, on each new connection and
// each minute, and calls seen with what hsmd says of them, or with why it says
// nothing. That is how pkid learns of a lost key or of lost hsmd before a
// caller does; and as each look dials where there is no connection, it is how
// the connection comes back while nobody asks for it. No token is touched.
// Watch returns when ctx is done or the client is closed.
func (c *Client) Watch(ctx context.Context, seen func(keys []wire.KeyInfo, err error)) {
	for {
		select { // what this look is about to see
		case <-c.connected:
		default:
		}
		keys, err := c.Describe(ctx, &wire.DescribeRequest{})
		if ctx.Err() != nil || c.isClosed() {
			return
		}
		pause := watchEvery
		if err != nil {
			pause = watchAgain
			seen(nil, err)
		} else {
			seen(keys.Keys, nil)
		}
		select {
		case <-time.After(pause):
		case <-c.lost():
		case <-c.connected:
		case <-c.stop:
			return
		case <-ctx.Done():
			return
		}
	}
}

// lost is closed when the connection breaks, and nil, which never is, while
// there is none.
func (c *Client) lost() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == nil {
		return nil
	}
	return c.link.Done()
}

func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}
