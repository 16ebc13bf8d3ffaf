// Package hsm is pkid's hand on hsmd: a connection that comes back by itself,
// and keys as signers for crypto/x509. It knows names and public keys; a private
// key, a PIN or a handle never comes this way.
//
// Start at [Client] and [Client.Signer].
package hsm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/user"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hsmpki/hsmpki/wire"
	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// Config says where hsmd is.
type Config struct {
	Address string // path of hsmd's Unix socket
	User    string // whose hsmd must be, beside root; "": not checked
	Version string // pkid's, for hsmd's log
	Log     *slog.Logger
}

// dialBudget is how long a request waits for an hsmd that is not there, within
// its own deadline. hsmd listens as soon as it is ready, so a restart is over
// sooner; whoever asks for longer gets "unavailable" and comes again.
const dialBudget = 2 * time.Second

// Client is a [wire.Service] that is hsmd, as long as there is one. A
// connection that breaks is made anew by the next request, and what may safely
// be asked again is asked again once.
type Client struct {
	cfg Config
	uid int // -1: not checked

	mu     sync.Mutex
	conn   *wire.Client
	flight *flight // a dial under way
	closed bool

	used   sync.Map // name of each key that signed: its SPKI
	wake   chan struct{}
	ending context.CancelFunc
	ended  chan struct{}
}

// flight is one dial, for all who wait for it.
type flight struct {
	done chan struct{}
	conn *wire.Client
	err  error
}

// New makes a client; it dials when it is first asked something.
func New(cfg Config) (*Client, error) {
	c := &Client{cfg: cfg, uid: -1, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	if c.cfg.Log == nil {
		c.cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.User != "" {
		uid, err := strconv.Atoi(cfg.User)
		if err != nil {
			u, err := user.Lookup(cfg.User)
			if err != nil {
				return nil, fmt.Errorf("hsmd's user: %w", err)
			}
			if uid, err = strconv.Atoi(u.Uid); err != nil {
				return nil, fmt.Errorf("hsmd's user: %w", err)
			}
		}
		c.uid = uid
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.ending = cancel
	go c.watch(ctx)
	return c, nil
}

// Close hangs up; requests under way fail.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	conn := c.conn
	c.mu.Unlock()
	c.ending()
	<-c.ended
	if conn != nil {
		return conn.Close()
	}
	return nil
}

// connected gives the connection, or dials; all who come meanwhile wait for the
// same dial.
func (c *Client) connected(ctx context.Context) (*wire.Client, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, wire.Errorf(wire.Unavailable, "pkid is shutting down")
	}
	if c.conn != nil && c.conn.Err() == nil {
		defer c.mu.Unlock()
		return c.conn, nil
	}
	f := c.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		c.flight = f
		go c.dial(f)
	}
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.conn, f.err
	case <-ctx.Done():
		return nil, wire.AsError(ctx.Err())
	}
}

func (c *Client) dial(f *flight) {
	f.conn, f.err = c.reach()
	c.mu.Lock()
	c.flight = nil
	if f.err == nil && c.closed {
		f.conn.Close()
		f.conn, f.err = nil, wire.Errorf(wire.Unavailable, "pkid is shutting down")
	}
	c.conn = f.conn
	c.mu.Unlock()
	close(f.done)
	if f.err == nil {
		c.cfg.Log.Debug("connected to hsmd", "address", c.cfg.Address, "hsmd", f.conn.PeerSoftware())
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// reach dials until somebody listens or the budget is used up.
func (c *Client) reach() (*wire.Client, error) {
	for end := time.Now().Add(dialBudget); ; {
		conn, err := net.DialTimeout("unix", c.cfg.Address, dialBudget)
		if err == nil {
			return c.greet(conn)
		}
		absent := errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EAGAIN)
		if !absent || time.Now().After(end) {
			return nil, &wire.Error{Code: wire.Unavailable, RetryAfter: time.Second, Message: fmt.Sprintf("hsmd cannot be reached: %v", err)}
		}
		time.Sleep(25 * time.Millisecond)
	}
}

// greet checks who answers before anything is said to him.
func (c *Client) greet(conn net.Conn) (*wire.Client, error) {
	if c.uid >= 0 {
		peer, err := unixsock.PeerOf(conn)
		if err == nil && peer.UID != 0 && peer.UID != uint32(c.uid) {
			err = fmt.Errorf("it belongs to uid %d, and should to %q", peer.UID, c.cfg.User)
		}
		if err != nil {
			conn.Close()
			c.cfg.Log.Error("who listens on hsmd's socket is not hsmd", "address", c.cfg.Address, "error", err)
			return nil, &wire.Error{Code: wire.Unavailable, RetryAfter: 10 * time.Second, Message: fmt.Sprintf("who listens on hsmd's socket is not hsmd: %v", err)}
		}
	}
	client, err := wire.NewClient(conn, wire.ClientConfig{Software: "pkid/" + c.cfg.Version})
	if err != nil {
		return nil, &wire.Error{Code: wire.Unavailable, RetryAfter: time.Second,
			Message: wire.AsError(err).Message + "; if that stays so, no client block of hsmd's configuration matches this user"}
	}
	return client, nil
}

// ask puts one question, and once more over a new connection where the old one
// broke and repeating is safe.
func ask[T any](ctx context.Context, c *Client, repeat bool, question func(wire.Service) (*T, error)) (*T, error) {
	for {
		conn, err := c.connected(ctx)
		if err != nil {
			return nil, err
		}
		answer, err := question(conn)
		if err == nil || conn.Err() == nil || !repeat || ctx.Err() != nil {
			return answer, err
		}
		repeat = false
	}
}

// Describe implements [wire.Service].
func (c *Client) Describe(ctx context.Context, req *wire.DescribeRequest) (*wire.DescribeResponse, error) {
	return ask(ctx, c, true, func(s wire.Service) (*wire.DescribeResponse, error) { return s.Describe(ctx, req) })
}

// Generate implements [wire.Service]. The id makes it safe to repeat.
func (c *Client) Generate(ctx context.Context, req *wire.GenerateRequest) (*wire.GenerateResponse, error) {
	return ask(ctx, c, true, func(s wire.Service) (*wire.GenerateResponse, error) { return s.Generate(ctx, req) })
}

// Sign implements [wire.Service]. A stream is used up by the first try.
func (c *Client) Sign(ctx context.Context, req *wire.SignRequest) (*wire.SignResponse, error) {
	return ask(ctx, c, req.Parts == nil, func(s wire.Service) (*wire.SignResponse, error) { return s.Sign(ctx, req) })
}

// Test implements [wire.Service].
func (c *Client) Test(ctx context.Context, req *wire.TestRequest) (*wire.TestResponse, error) {
	return ask(ctx, c, true, func(s wire.Service) (*wire.TestResponse, error) { return s.Test(ctx, req) })
}

// Configure implements [wire.Service]. The same definition twice is one.
func (c *Client) Configure(ctx context.Context, req *wire.ConfigureRequest) (*wire.ConfigureResponse, error) {
	return ask(ctx, c, true, func(s wire.Service) (*wire.ConfigureResponse, error) { return s.Configure(ctx, req) })
}

// Forget implements [wire.Service].
func (c *Client) Forget(ctx context.Context, req *wire.ForgetRequest) (*wire.ForgetResponse, error) {
	return ask(ctx, c, false, func(s wire.Service) (*wire.ForgetResponse, error) { return s.Forget(ctx, req) })
}

// Status implements [wire.Service].
func (c *Client) Status(ctx context.Context, req *wire.StatusRequest) (*wire.StatusResponse, error) {
	return ask(ctx, c, true, func(s wire.Service) (*wire.StatusResponse, error) { return s.Status(ctx, req) })
}
