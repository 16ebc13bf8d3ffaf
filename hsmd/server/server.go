// Package server guards the keys: for each request it identifies the peer,
// permits, recognises what is to be signed, asks the backend, and checks what
// comes back. Assume that an attacker runs code in the peer; what he can get
// here is what hsmd's configuration gives that peer, and nothing else.
//
// The package knows no token and loads no vendor's library: behind each
// [managedkey.Library] is a [wire.Service], a worker's. It reads no
// configuration file; [State] is what one has become.
//
// Start with [session.Sign], in sign.go.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/approval"
	"github.com/hsmpki/hsmpki/hsmd/auditlog"
	"github.com/hsmpki/hsmpki/hsmd/confinement"
	"github.com/hsmpki/hsmpki/hsmd/constraint"
	"github.com/hsmpki/hsmpki/hsmd/ledger"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/responder"
	"github.com/hsmpki/hsmpki/wire"
	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// Config is what a Server is made of. All but the limits is required.
type Config struct {
	State *State
	Store *managedkey.Store
	Audit *auditlog.Log
	// Ledger remembers what was signed. It has what the log has (see [Replay]).
	Ledger *ledger.Ledger
	// Approvals is what waits for approval. It may be missing where no key asks
	// for it, now and after a reload.
	Approvals *approval.Table
	Version   string // for Status
	Log       *slog.Logger
	Now       func() time.Time

	// MaxConnections and MaxPerUser bound connections in total and of one user;
	// 0: 256 and 64. DrainTimeout is how long requests under way may go on when
	// the server ends; 0: 10 s.
	MaxConnections int
	MaxPerUser     int
	DrainTimeout   time.Duration
}

// Server serves the keys of one hsmd.
type Server struct {
	state     atomic.Pointer[State]
	changing  chan struct{} // held by who changes the state
	era       atomic.Pointer[era]
	store     *managedkey.Store
	audit     *auditlog.Log
	signing   atomic.Int64 // how many have a line in the log and no outcome
	ledger    *ledger.Ledger
	marked    atomic.Uint64 // how far the ledger is known to have what the log has
	version   string
	approvals *approval.Table
	log       *slog.Logger
	now       func() time.Time
	started   time.Time
	quiet     *quiet

	responders responder.Table
	limiter    constraint.Limiter
	numbers    numbers
	afterwards afterwards

	maxConnections, maxPerUser int
	drain                      time.Duration

	mu      sync.Mutex
	open    map[*connection]struct{}
	perUser map[uint32]int
	held    map[uint32]held          // signatures under way, of each user
	long    map[uint32]chan struct{} // long answers, of each user
	running sync.WaitGroup
}

// connection is one that is open.
type connection struct {
	peer   unixsock.Peer
	cutOff context.CancelFunc
	long   chan struct{}
}

// New makes a Server.
func New(c Config) (*Server, error) {
	if c.State == nil || c.Store == nil || c.Audit == nil || c.Ledger == nil || c.Log == nil || c.Now == nil {
		return nil, errors.New("hsmd/server: Config lacks State, Store, Audit, Ledger, Log or Now")
	}
	s := &Server{
		changing: make(chan struct{}, 1),
		store:    c.Store, audit: c.Audit, ledger: c.Ledger, approvals: c.Approvals, version: c.Version, log: c.Log, now: c.Now, started: c.Now(),
		quiet:          &quiet{log: c.Log, now: c.Now, kinds: map[string]*quietKind{}},
		maxConnections: c.MaxConnections, maxPerUser: c.MaxPerUser, drain: c.DrainTimeout,
		open: map[*connection]struct{}{}, perUser: map[uint32]int{}, held: map[uint32]held{}, long: map[uint32]chan struct{}{},
	}
	if s.maxConnections == 0 {
		s.maxConnections = 256
	}
	if s.maxPerUser == 0 {
		s.maxPerUser = 64
	}
	if s.drain == 0 {
		s.drain = 10 * time.Second
	}
	s.afterwards.idle.L = &s.afterwards.mu
	s.era.Store(newEra())
	s.state.Store(c.State)
	return s, nil
}

// Serve takes connections until ctx is done, then lets requests under way
// finish, and returns nil. It may run for several listeners at a time. The
// listener is closed on return.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer l.Close()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			s.running.Wait()
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			// Out of descriptors, most likely: that passes, or an operator looks.
			s.quiet.warn("a connection could not be taken", "error", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		s.accept(ctx, conn)
	}
}

// accept decides about a connection before a byte is read from it or written to
// it: a peer to whom hsmd has nothing to say learns nothing, not even that.
func (s *Server) accept(ctx context.Context, conn net.Conn) {
	peer, err := unixsock.PeerOf(conn)
	if err != nil {
		s.quiet.warn("a peer without credentials was cut off", "error", err)
		conn.Close()
		return
	}
	if inside, err := s.fromWorker(conn, peer); inside || err != nil {
		s.quiet.warn("a worker, or what it started, was cut off", "uid", peer.UID, "pid", peer.PID, "error", err)
		conn.Close()
		return
	}
	if _, ok := s.state.Load().Grants.Grant(peer); !ok {
		s.quiet.warn("a peer that no client block matches was cut off", "uid", peer.UID, "gid", peer.GID, "pid", peer.PID)
		conn.Close()
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &connection{peer: peer, cutOff: cancel}
	if !s.admit(c) {
		s.quiet.warn("too many connections", "uid", peer.UID, "pid", peer.PID)
		cancel()
		conn.Close()
		return
	}
	if _, ok := s.state.Load().Grants.Grant(peer); !ok {
		cancel() // a new configuration came in between, and did not see it
	}
	s.running.Go(func() {
		defer s.leave(c)
		s.converse(ctx, conn, c)
	})
}

// fromWorker reports whether a peer is on the other side of the wall between
// hsmd and the vendors' libraries. Only a user that workers run as can be; with
// an error, it cannot be told, and is treated as one.
func (s *Server) fromWorker(conn net.Conn, peer unixsock.Peer) (bool, error) {
	if s.state.Load().WorkerUsers[peer.UID] {
		return true, nil
	}
	if peer.UID != uint32(os.Getuid()) {
		return false, nil
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false, errors.New("not a socket")
	}
	return confinement.IsWorker(socket, peer.PID)
}

// For gives what a peer sees of the server.
func (s *Server) For(peer unixsock.Peer) wire.Service {
	return &measured{&session{srv: s, peer: peer}}
}

func (s *Server) converse(ctx context.Context, conn net.Conn, c *connection) {
	peer := c.peer
	s.log.Debug("connected", "uid", peer.UID, "pid", peer.PID)
	err := wire.Serve(ctx, conn, s.For(peer), wire.ServeConfig{
		Software:     "hsmd/" + s.version,
		DrainTimeout: s.drain,
		Log:          s.log,
		Long:         c.long,
	})
	if err != nil {
		s.quiet.warn("a connection ended badly", "uid", peer.UID, "pid", peer.PID, "error", err)
	}
	s.log.Debug("disconnected", "uid", peer.UID, "pid", peer.PID)
}

func (s *Server) admit(c *connection) bool {
	uid := c.peer.UID
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= s.maxConnections || s.perUser[uid] >= s.maxPerUser {
		return false
	}
	if s.long[uid] == nil {
		s.long[uid] = make(chan struct{}, maxAnswers)
	}
	c.long = s.long[uid]
	s.open[c] = struct{}{}
	s.perUser[uid]++
	return true
}

func (s *Server) leave(c *connection) {
	uid := c.peer.UID
	c.cutOff() // releases the context
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	if s.perUser[uid]--; s.perUser[uid] == 0 {
		delete(s.perUser, uid)
		delete(s.long, uid)
	}
}

// maxAnswers is how many answers that may be long one user may have made, or leave
// unread, at once, on all his connections together.
const maxAnswers = 8

// held counts the signatures that one user has under way, those among them whose
// message comes in parts, and of these those that are held whole.
type held struct{ all, long, whole int }

// hold takes one of a user's places for signatures under way; release gives it
// back. long says that the message comes in parts, whole that the key or scheme
// is given the message itself.
func (s *Server) hold(uid uint32, long, whole bool) (release func(), err error) {
	one := held{all: 1}
	if long {
		if one.long = 1; whole {
			one.whole = 1
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.held[uid].plus(one, 1)
	switch {
	case now.all > maxSigning:
		return nil, &wire.Error{Code: wire.Busy, RetryAfter: time.Second, Message: "too many signatures at once"}
	case now.long > maxLong || now.whole > maxHeld:
		return nil, &wire.Error{Code: wire.Busy, RetryAfter: time.Second, Message: "too many long messages at once"}
	}
	s.held[uid] = now
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.held[uid] = s.held[uid].plus(one, -1); s.held[uid].all == 0 {
			delete(s.held, uid)
		}
	}, nil
}

func (h held) plus(o held, n int) held {
	return held{h.all + n*o.all, h.long + n*o.long, h.whole + n*o.whole}
}
