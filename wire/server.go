package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"
)

// DefaultMaxInFlight is how many requests of one connection are worked on at
// once, unless the server says otherwise.
const DefaultMaxInFlight = 256

// ServeConfig tunes one connection's server. The zero value is sound.
type ServeConfig struct {
	Software         string        // name and version, at most 100 octets, for the peer
	MaxInFlight      int           // requests at once; 0: DefaultMaxInFlight
	HandshakeTimeout time.Duration // 0: 5 s
	DrainTimeout     time.Duration // how long requests under way may go on when ctx is done; 0: 30 s
	Log              *slog.Logger  // panics of the service; nil: discarded

	// Long has room for as many long answers (lists of whatever there is) as may be
	// made or wait to be written at once. Connections may share it; nil: any number.
	Long chan struct{}
}

// Serve offers svc to the peer on conn, which it owns and closes, until the
// peer hangs up or ctx is done. When ctx is done, no request is taken any more
// and those under way may finish. It returns nil if either end hung up in good
// order, and otherwise what the peer did wrong or the connection's error.
//
// A frame that cannot be read costs the peer the connection and nobody else
// anything: what it says is decoded within fixed bounds, before any request of
// it reaches svc.
func Serve(ctx context.Context, conn net.Conn, svc Service, cfg ServeConfig) error {
	if cfg.MaxInFlight <= 0 || cfg.MaxInFlight > 65535 {
		cfg.MaxInFlight = DefaultMaxInFlight
	}
	if cfg.HandshakeTimeout == 0 {
		cfg.HandshakeTimeout = 5 * time.Second
	}
	if cfg.DrainTimeout == 0 {
		cfg.DrainTimeout = 30 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	defer conn.Close()
	in := newReader(conn)
	if _, err := receive(conn, in, cfg.Software, cfg.MaxInFlight, cfg.HandshakeTimeout); err != nil {
		return err
	}
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s := &server{cfg: cfg, svc: svc, base: base, out: newWriter(conn), idle: make(chan task), inFlight: map[uint64]*inbound{}, unsent: make(chan struct{}, 2*cfg.MaxInFlight)}
	return s.run(ctx, conn, in, cancel)
}

// server is one connection.
type server struct {
	cfg  ServeConfig
	svc  Service
	base context.Context // of all requests
	out  *writer

	idle    chan task // taken by goroutines that have nothing to do
	workers sync.WaitGroup
	unsent  chan struct{} // one for each request until its answer is written, or in the queue

	mu       sync.Mutex
	inFlight map[uint64]*inbound
	streams  int // of those in flight, how many come in parts
}

// maxStreams is how many requests of one connection may come in parts at once.
const maxStreams = 16

// inbound is a request under way.
type inbound struct {
	cancel context.CancelFunc
	parts  *partReader // nil if the message came whole
}

// task is one request, decoded, for a worker.
type task struct {
	id  uint64
	ctx context.Context
	bound
}

// bound is a request tied to the service's method. long says that its answer may
// be long.
type bound struct {
	do   func(context.Context) (any, error)
	long bool
}

func (s *server) run(ctx context.Context, conn net.Conn, in *reader, cancel func()) error {
	// The reader's own deadlines may replace this one, so ctx is looked at before
	// each frame too.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var err error
	for err == nil && ctx.Err() == nil {
		var frame []byte
		if frame, err = in.next(MaxFrame); err == nil {
			err = s.frame(frame)
		}
	}
	switch {
	case ctx.Err() != nil:
		// Those under way may finish; a peer that goes on sending is not read.
		timer := time.AfterFunc(s.cfg.DrainTimeout, cancel)
		defer timer.Stop()
		err = nil
	case errors.Is(err, errFrame):
		// Name the fault before hanging up, for whoever writes a client.
		_ = s.out.sendFrame(&header{Kind: kindFailure}, FaultOf(Errorf(Invalid, "%v", err)))
		cancel()
	default:
		cancel()
		s.out.fail(err)
	}
	s.breakParts(err)
	close(s.idle)
	s.workers.Wait()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// breakParts ends the wait of services for parts that will not come.
func (s *server) breakParts(err error) {
	if err == nil {
		err = errors.New("the server is shutting down")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.inFlight {
		if r.parts != nil {
			r.parts.fail(err)
		}
	}
}

// frame acts on one frame; an error ends the connection.
func (s *server) frame(frame []byte) error {
	h, body, err := parseHeader(frame)
	if err != nil {
		return err
	}
	switch h.Kind {
	case kindRequest:
		return s.request(h, body)
	case kindPart, kindCancel:
		s.mu.Lock()
		r := s.inFlight[h.ID]
		s.mu.Unlock()
		if r == nil {
			return nil // answered meanwhile
		}
		if h.Kind == kindCancel {
			r.cancel()
			return nil
		}
		if r.parts == nil {
			return fmt.Errorf("%w: a part of a request that announced none", errFrame)
		}
		return r.parts.feed(body, h.More)
	}
	return fmt.Errorf("%w: a frame of kind %d from a client", errFrame, h.Kind)
}

func (s *server) request(h header, body []byte) error {
	var parts *partReader
	if h.More {
		if h.Op != opSign {
			return fmt.Errorf("%w: parts announced for operation %d", errFrame, h.Op)
		}
		parts = newPartReader(func() { _ = s.out.sendFrame(&header{Kind: kindCredit, ID: h.ID}, nil) })
	}
	todo, err := s.bind(h.Op, body, parts)
	if err != nil {
		return err
	}
	limit := h.Op.limit()
	if h.Timeout > 0 {
		limit = min(limit, time.Duration(h.Timeout)*time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(s.base, limit)
	room, err := s.admit(h.ID, &inbound{cancel: cancel, parts: parts})
	if err != nil || !room {
		cancel()
		if err == nil {
			s.fail(h.ID, &Error{Code: Busy, Message: "too many long messages at once", RetryAfter: time.Second})
		}
		return err
	}
	// A peer that asks and does not read is not read either. It has no more under
	// way than it may, so half of these at least are answers, and written or given
	// up soon.
	s.unsent <- struct{}{}
	t := task{id: h.ID, ctx: ctx, bound: todo}
	select {
	case s.idle <- t:
	default:
		s.workers.Go(func() { s.work(t) })
	}
	return nil
}

// admit takes a request on. There is no room for it when too many come in
// parts, which are held in memory until they are read.
func (s *server) admit(id uint64, r *inbound) (room bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, twice := s.inFlight[id]; twice || id == 0 {
		return false, fmt.Errorf("%w: request id %d is 0 or in use", errFrame, id)
	}
	if len(s.inFlight) >= s.cfg.MaxInFlight {
		return false, fmt.Errorf("%w: more than %d requests at once", errFrame, s.cfg.MaxInFlight)
	}
	if r.parts != nil {
		if s.streams == maxStreams {
			return false, nil
		}
		s.streams++
	}
	s.inFlight[id] = r
	return true, nil
}

// work does one task and then whatever comes: a goroutine that has grown its
// stack is dearer to make than to keep.
func (s *server) work(t task) {
	for ok := true; ok; t, ok = <-s.idle {
		s.carryOut(t)
		<-s.unsent
	}
}

// carryOut answers one request.
func (s *server) carryOut(t task) {
	if t.long && s.cfg.Long != nil {
		select {
		case s.cfg.Long <- struct{}{}:
			defer func() { <-s.cfg.Long }()
		case <-t.ctx.Done():
			s.finish(t.id)
			s.fail(t.id, &Error{Code: Busy, Message: "too many long answers at once", RetryAfter: time.Second})
			return
		}
	}
	response, err := s.try(t)
	s.finish(t.id)
	if err != nil {
		s.fail(t.id, err)
	} else {
		s.answer(t.id, response)
	}
}

// try calls the service. A panic there is one request's failure.
func (s *server) try(t task) (response any, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.cfg.Log.Error("a request made the service panic", "panic", p, "stack", string(debug.Stack()))
			err = Errorf(Internal, "a fault of the service's, see its log")
		}
	}()
	return t.do(t.ctx)
}

// finish forgets the request before its answer is sent, so that the client,
// who may send another once he has it, finds room.
func (s *server) finish(id uint64) {
	s.mu.Lock()
	r := s.inFlight[id]
	delete(s.inFlight, id)
	if r.parts != nil {
		s.streams--
	}
	s.mu.Unlock()
	if r.parts != nil {
		r.parts.fail(errors.New("the request is answered"))
	}
	r.cancel()
}

func (s *server) fail(id uint64, err error) {
	fault := FaultOf(err)
	if !fault.Code.Known() {
		fault.Code = Internal
	}
	_ = s.out.sendFrame(&header{Kind: kindFailure, ID: id}, fault)
}

// answer sends a response, in several frames if it must be. A broken
// connection shows in the reader.
func (s *server) answer(id uint64, response any) {
	h := header{Kind: kindAnswer, ID: id}
	err := s.out.sendFrame(&h, response)
	if !errors.Is(err, errUnsent) {
		return
	}
	var b bytes.Buffer
	if encodeErr := encode(&b, response); encodeErr != nil || b.Len() > MaxAnswer {
		s.fail(id, Errorf(Internal, "the answer %v", err))
		return
	}
	for b.Len() > 0 {
		piece := b.Next(MaxPart)
		h.More = b.Len() > 0
		_ = s.out.sendFrame(&h, encoded(piece))
	}
}
