// Package hsm is pkid's hand on hsmd: a connection that comes back by itself,
// and the keys behind it as signers for crypto/x509.
//
// The package knows no PIN, no token and no rule about what may be signed;
// those are hsmd's. It decides two things only: how long a request waits for
// hsmd, and what may be asked again when a connection breaks. Start with
// [Client]; [Signer] is what certificates are made with.
package hsm

import (
	"context"
	"fmt"
	"log/slog"
	"os/user"
	"strconv"
	"sync"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

const (
	// requestTime and generateTime bound a request whose context has no
	// deadline of its own.
	requestTime  = 30 * time.Second
	generateTime = 120 * time.Second
)

// Config says where hsmd is.
type Config struct {
	// Address is the path of hsmd's Unix socket.
	Address string
	// User, a name or a number, is the user that hsmd runs as: a peer that is
	// neither it nor root is refused, before anything is told to it. Empty:
	// whoever listens at Address is trusted.
	User string
	// Software is pkid's name and version, for hsmd's log. Default "pkid".
	Software string
	// Log gets connections made, lost and refused. Default: none.
	Log *slog.Logger
}

// Client is hsmd as a [wire.Service], over one connection at a time. Without
// one a request dials at once. It waits for hsmd for at most two seconds, or to
// its deadline if that is sooner, and then fails with [wire.Unavailable] and a
// time after which to try again: long enough for a restart of hsmd to go
// unnoticed, short enough not to keep all of pkid's callers waiting while hsmd
// is down.
//
// A request on which the connection breaks is asked once more, if that is safe:
// see each method. Every error is a [*wire.Error].
type Client struct {
	cfg Config
	uid int64 // of the peer; -1: not checked

	connected chan struct{} // has room for one; a word to Watch

	mu      sync.Mutex
	link    *wire.Client
	dialing *dialing
	closed  bool
	stop    chan struct{} // closed by Close
}

var _ wire.Service = (*Client)(nil)

// New makes a client. It fails for a user that does not exist; it does not dial.
func New(cfg Config) (*Client, error) {
	if cfg.Address == "" {
		return nil, fmt.Errorf("hsm: no address")
	}
	if cfg.Software == "" {
		cfg.Software = "pkid"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	uid, err := uidOf(cfg.User)
	if err != nil {
		return nil, fmt.Errorf("hsm: hsmd's user: %w", err)
	}
	return &Client{cfg: cfg, uid: uid, connected: make(chan struct{}, 1), stop: make(chan struct{})}, nil
}

func uidOf(name string) (int64, error) {
	if name == "" {
		return -1, nil
	}
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		return int64(n), nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(u.Uid, 10, 64)
}

// Close ends the connection; requests under way fail, and so do later ones.
func (c *Client) Close() error {
	c.mu.Lock()
	link, first := c.link, !c.closed
	c.closed, c.link = true, nil
	c.mu.Unlock()
	if first {
		close(c.stop)
	}
	if link != nil {
		return link.Close()
	}
	return nil
}

// Describe implements [wire.Service]; it is asked again on a broken connection.
func (c *Client) Describe(ctx context.Context, req *wire.DescribeRequest) (*wire.DescribeResponse, error) {
	return ask(ctx, c, req, (*wire.Client).Describe)
}

// Sign implements [wire.Service]; it is asked again on a broken connection,
// unless req.Parts has been read and cannot be wound back (io.Seeker).
func (c *Client) Sign(ctx context.Context, req *wire.SignRequest) (*wire.SignResponse, error) {
	if req.Parts != nil {
		return c.signParts(ctx, req)
	}
	return ask(ctx, c, req, (*wire.Client).Sign)
}

// Test implements [wire.Service]; it is asked again on a broken connection.
func (c *Client) Test(ctx context.Context, req *wire.TestRequest) (*wire.TestResponse, error) {
	return ask(ctx, c, req, (*wire.Client).Test)
}

// Configure implements [wire.Service]; it is asked again on a broken
// connection, and then replaces its own definition by the same one.
func (c *Client) Configure(ctx context.Context, req *wire.ConfigureRequest) (*wire.ConfigureResponse, error) {
	return ask(ctx, c, req, (*wire.Client).Configure)
}

// Status implements [wire.Service]; it is asked again on a broken connection.
func (c *Client) Status(ctx context.Context, req *wire.StatusRequest) (*wire.StatusResponse, error) {
	return ask(ctx, c, req, (*wire.Client).Status)
}
