package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// ClientConfig is what a client says of itself, and how long it waits for the
// handshake (5 s by default).
type ClientConfig struct {
	Software         string // name and version, at most 100 octets, for the peer's log
	HandshakeTimeout time.Duration
}

// Client is a [Service] at the other end of a connection. Many requests may be
// under way at once; answers come in any order. When the connection breaks, all
// of them fail with [Unavailable], and so does every later one: whoever wants
// another connection makes another Client.
type Client struct {
	conn  net.Conn
	out   *writer
	peer  welcome
	slots chan struct{} // one for each request that the server still owes an answer
	done  chan struct{}

	mu      sync.Mutex
	nextID  uint64
	pending map[uint64]*call
	err     error
}

var _ Service = (*Client)(nil)

// NewClient speaks the handshake on conn, which it then owns, also when it
// fails.
func NewClient(conn net.Conn, cfg ClientConfig) (*Client, error) {
	if cfg.HandshakeTimeout == 0 {
		cfg.HandshakeTimeout = 5 * time.Second
	}
	in := newReader(conn)
	peer, err := greet(conn, in, cfg.Software, cfg.HandshakeTimeout)
	if err != nil {
		conn.Close()
		return nil, err
	}
	c := &Client{
		conn: conn, out: newWriter(conn), peer: peer, done: make(chan struct{}),
		slots: make(chan struct{}, peer.MaxInFlight), pending: map[uint64]*call{},
	}
	go c.read(in)
	return c, nil
}

// PeerSoftware is what the server calls itself.
func (c *Client) PeerSoftware() string { return clean(c.peer.Software) }

// Version is the protocol version that both ends agreed on.
func (c *Client) Version() int { return int(c.peer.Version) }

// Done is closed when the connection is gone.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is why the connection is gone, nil as long as it is not.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection; requests under way fail.
func (c *Client) Close() error {
	c.fail(Errorf(Unavailable, "the connection was closed"))
	<-c.done
	return nil
}

// fail breaks the connection for the reason given, once; the reader then fails
// what is pending.
func (c *Client) fail(reason *Error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = reason
	}
	c.mu.Unlock()
	c.out.fail(reason)
	c.conn.Close()
}

// call is one request under way.
type call struct {
	response any           // decoded into by the reader
	steps    *Steps        // nil: nobody wants to know
	body     []byte        // of an answer in several frames
	credit   chan struct{} // of a request with parts
	done     chan error    // gets one value
	gone     atomic.Bool   // nobody waits any more
}

// Describe implements [Service].
func (c *Client) Describe(ctx context.Context, req *DescribeRequest) (*DescribeResponse, error) {
	return ask[DescribeResponse](ctx, c, opDescribe, req, nil)
}

// Generate implements [Service].
func (c *Client) Generate(ctx context.Context, req *GenerateRequest) (*GenerateResponse, error) {
	return ask[GenerateResponse](ctx, c, opGenerate, req, nil)
}

// Sign implements [Service]. A message above [MaxInline] is sent in parts.
func (c *Client) Sign(ctx context.Context, req *SignRequest) (*SignResponse, error) {
	parts := req.Parts
	if parts == nil && len(req.Message) > MaxInline {
		parts = bytes.NewReader(req.Message)
	}
	if parts != nil {
		head := *req
		head.Message, head.Parts = nil, nil
		req = &head
	}
	return ask[SignResponse](ctx, c, opSign, req, parts)
}

// Test implements [Service].
func (c *Client) Test(ctx context.Context, req *TestRequest) (*TestResponse, error) {
	return ask[TestResponse](ctx, c, opTest, req, nil)
}

// Configure implements [Service].
func (c *Client) Configure(ctx context.Context, req *ConfigureRequest) (*ConfigureResponse, error) {
	return ask[ConfigureResponse](ctx, c, opConfigure, req, nil)
}

// Forget implements [Service].
func (c *Client) Forget(ctx context.Context, req *ForgetRequest) (*ForgetResponse, error) {
	return ask[ForgetResponse](ctx, c, opForget, req, nil)
}

// Status implements [Service].
func (c *Client) Status(ctx context.Context, req *StatusRequest) (*StatusResponse, error) {
	return ask[StatusResponse](ctx, c, opStatus, req, nil)
}

// ask sends one request and waits for its answer.
func ask[T any](ctx context.Context, c *Client, o op, body any, parts io.Reader) (*T, error) {
	if err := ctx.Err(); err != nil {
		return nil, waited(err)
	}
	select {
	case c.slots <- struct{}{}:
	case <-c.done:
		return nil, c.Err()
	case <-ctx.Done():
		return nil, waited(ctx.Err())
	}
	response := new(T)
	k := &call{response: response, steps: StepsOf(ctx), done: make(chan error, 1)}
	if parts != nil {
		k.credit = make(chan struct{}, PartWindow)
		for range PartWindow {
			k.credit <- struct{}{}
		}
	}
	h := header{Kind: kindRequest, Op: o, Timeout: timeoutOf(ctx, o), More: parts != nil, Timed: k.steps != nil}
	if err := c.register(&h, k); err != nil {
		<-c.slots
		return nil, err
	}
	if err := c.out.sendFrame(&h, body); errors.Is(err, errUnsent) {
		c.forget(h.ID)
		<-c.slots
		return nil, Errorf(Invalid, "the request %v", err)
	} else if err != nil {
		c.fail(Errorf(Unavailable, "writing to the peer: %v", err))
	}
	if parts != nil {
		if err := c.sendParts(ctx, h.ID, k, parts); err != nil {
			return nil, c.abandon(h.ID, k, err)
		}
	}
	select {
	case err := <-k.done:
		if err != nil {
			return nil, err
		}
		return response, nil
	case <-ctx.Done():
		return nil, c.abandon(h.ID, k, waited(ctx.Err()))
	}
}

// abandon tells the server that nobody waits. The slot stays taken until the
// server has answered, as it does in every case.
func (c *Client) abandon(id uint64, k *call, reason error) error {
	k.gone.Store(true)
	_ = c.out.sendFrame(&header{Kind: kindCancel, ID: id}, nil)
	return reason
}

func (c *Client) register(h *header, k *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	c.nextID++
	h.ID = c.nextID
	c.pending[h.ID] = k
	return nil
}

func (c *Client) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, id)
}

// waited is the error of a caller whose time was up before an answer came.
func waited(err error) *Error {
	if errors.Is(err, context.DeadlineExceeded) {
		return Errorf(Unavailable, "no answer before the deadline")
	}
	return Errorf(Unavailable, "the caller gave up")
}

// timeUp is how much earlier than a caller's deadline the peer may see it: it is
// told milliseconds.
const timeUp = 5 * time.Millisecond

// GaveUp reports whether a caller did not wait for an answer. His failure then
// says nothing about who was asked.
func GaveUp(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && time.Until(deadline) < timeUp
}

func timeoutOf(ctx context.Context, o op) uint32 {
	limit := o.limit()
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	return uint32(max(limit.Milliseconds(), 1))
}

// clean makes text of the peer's fit for a log: one line, bounded.
func clean(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	out := []rune(s)
	for i, r := range out {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			out[i] = ' '
		}
	}
	return string(out)
}

// broken is the error of requests that a dead connection leaves behind.
func broken(err error) *Error {
	if errors.Is(err, io.EOF) {
		return Errorf(Unavailable, "the peer closed the connection")
	}
	return Errorf(Unavailable, "the connection broke: %s", clean(fmt.Sprint(err)))
}
