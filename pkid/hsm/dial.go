package hsm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/hsmpki/hsmpki/wire"
	"github.com/hsmpki/hsmpki/wire/unixsock"
)

const (
	// dialTime is how long one attempt goes on while hsmd does not answer.
	dialTime = 2 * time.Second
	// retryAfter is what callers are told when it has failed.
	retryAfter = time.Second

	shortestPause = 10 * time.Millisecond
	longestPause  = 100 * time.Millisecond
)

// errStranger is final for an attempt: trying again changes nothing.
var errStranger = errors.New("somebody else listens there")

// dialing is one attempt to connect, which all requests of its time share.
type dialing struct {
	done chan struct{} // closed when link or err is set
	link *wire.Client
	err  error
}

// away is the error of a request that hsmd did not answer.
func away(format string, args ...any) *wire.Error {
	e := wire.Errorf(wire.Unavailable, format, args...)
	e.RetryAfter = retryAfter
	return e
}

// connection gives the live connection, or waits for a new one.
func (c *Client) connection(ctx context.Context) (*wire.Client, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, away("the connection to hsmd is closed")
	}
	if c.link != nil && c.link.Err() == nil {
		defer c.mu.Unlock()
		return c.link, nil
	}
	if c.link != nil {
		c.cfg.Log.Warn("lost the connection to hsmd", "address", c.cfg.Address, "error", c.link.Err())
		c.link = nil
	}
	d := c.dialing
	if d == nil {
		d = &dialing{done: make(chan struct{})}
		c.dialing = d
		go c.dial(d)
	}
	c.mu.Unlock()
	select {
	case <-d.done:
		return d.link, d.err
	case <-ctx.Done():
		return nil, away("hsmd at %s does not answer", c.cfg.Address)
	}
}

// dial runs one attempt. It belongs to no request: a caller that gives up does
// not end it for the others.
func (c *Client) dial(d *dialing) {
	link, err := c.keepTrying()
	c.mu.Lock()
	if c.closed && link != nil {
		_ = link.Close()
		link, err = nil, net.ErrClosed
	}
	if err != nil {
		d.err = away("hsmd at %s cannot be reached: %v", c.cfg.Address, err)
	}
	c.link, d.link, c.dialing = link, link, nil
	c.mu.Unlock()
	close(d.done)
	if err != nil {
		c.cfg.Log.Warn("cannot reach hsmd", "address", c.cfg.Address, "error", err)
		return
	}
	c.cfg.Log.Info("connected to hsmd", "address", c.cfg.Address, "software", link.PeerSoftware())
	select {
	case c.connected <- struct{}{}:
	default:
	}
}

// keepTrying dials until hsmd answers or the time is up. The last try is at the
// end of that time, so that no request misses an hsmd that has come back while
// it waited.
func (c *Client) keepTrying() (*wire.Client, error) {
	end := time.Now().Add(dialTime)
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		link, err := c.tryOnce()
		if err == nil || errors.Is(err, errStranger) || !time.Now().Before(end) {
			return link, err
		}
		select {
		case <-time.After(min(pause, time.Until(end))):
		case <-c.stop:
			return nil, err
		}
	}
}

func (c *Client) tryOnce() (*wire.Client, error) {
	conn, err := unixsock.Dial(c.cfg.Address, dialTime)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err // the caller names the address
		}
		return nil, err
	}
	if err := c.checkPeer(conn.Peer); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	link, err := wire.NewClient(conn, wire.ClientConfig{Software: c.cfg.Software, HandshakeTimeout: dialTime})
	if err != nil {
		return nil, fmt.Errorf("no handshake (does a client block of hsmd match pkid's user?): %w", err)
	}
	return link, nil
}

// checkPeer refuses whoever is neither the user that hsmd runs as nor root.
func (c *Client) checkPeer(peer unixsock.Peer) error {
	if c.uid >= 0 && peer.UID != 0 && int64(peer.UID) != c.uid {
		return fmt.Errorf("%w: uid %d, hsmd's user is %s", errStranger, peer.UID, c.cfg.User)
	}
	return nil
}
