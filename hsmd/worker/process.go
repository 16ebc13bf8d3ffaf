package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// Process is one worker as a service that outlives it: when the process dies,
// another is started and told every definition again, and what can safely be
// repeated is.
type Process struct {
	id      string // identity of the library when the process was made
	library Library
	log     *slog.Logger

	starting chan struct{} // taken by whoever starts a worker

	mu          sync.Mutex
	running     *running
	definitions map[string]*wire.ConfigureRequest // by handle
	failures    int                               // starts in a row that did not last
	notBefore   time.Time
	closed      bool
}

var _ wire.Service = (*Process)(nil)

func newProcess(id string, l Library, log *slog.Logger) *Process {
	return &Process{id: id, library: l, log: log, starting: make(chan struct{}, 1), definitions: map[string]*wire.ConfigureRequest{}}
}

// Configure implements [wire.Service]. The definition is kept for the workers
// to come.
func (p *Process) Configure(ctx context.Context, req *wire.ConfigureRequest) (*wire.ConfigureResponse, error) {
	handle := req.Handle()
	p.mu.Lock()
	before := p.definitions[handle]
	p.definitions[handle] = req
	p.mu.Unlock()
	answer, err := ask(ctx, p, true, func(s wire.Service) (*wire.ConfigureResponse, error) { return s.Configure(ctx, req) })
	if errors.Is(err, wire.Invalid) {
		// A definition that a worker refuses would keep each next one from starting.
		p.mu.Lock()
		if p.definitions[handle] == req {
			if before == nil {
				delete(p.definitions, handle)
			} else {
				p.definitions[handle] = before
			}
		}
		p.mu.Unlock()
	}
	return answer, err
}

// Forget implements [wire.Service]. No worker is started to forget something.
func (p *Process) Forget(ctx context.Context, req *wire.ForgetRequest) (*wire.ForgetResponse, error) {
	p.mu.Lock()
	delete(p.definitions, req.Key)
	idle := p.closed || p.running == nil
	p.mu.Unlock()
	if idle {
		return &wire.ForgetResponse{}, nil
	}
	return ask(ctx, p, false, func(s wire.Service) (*wire.ForgetResponse, error) { return s.Forget(ctx, req) })
}

// Sign implements [wire.Service]. It is repeated once when the worker dies
// under it, unless the message is a stream, which is used up.
func (p *Process) Sign(ctx context.Context, req *wire.SignRequest) (*wire.SignResponse, error) {
	return ask(ctx, p, req.Parts == nil, func(s wire.Service) (*wire.SignResponse, error) { return s.Sign(ctx, req) })
}

// Generate implements [wire.Service]. It is not repeated: whoever asks looks
// first what became of it.
func (p *Process) Generate(ctx context.Context, req *wire.GenerateRequest) (*wire.GenerateResponse, error) {
	return ask(ctx, p, false, func(s wire.Service) (*wire.GenerateResponse, error) { return s.Generate(ctx, req) })
}

// Describe implements [wire.Service].
func (p *Process) Describe(ctx context.Context, req *wire.DescribeRequest) (*wire.DescribeResponse, error) {
	return ask(ctx, p, true, func(s wire.Service) (*wire.DescribeResponse, error) { return s.Describe(ctx, req) })
}

// Test implements [wire.Service].
func (p *Process) Test(ctx context.Context, req *wire.TestRequest) (*wire.TestResponse, error) {
	return ask(ctx, p, false, func(s wire.Service) (*wire.TestResponse, error) { return s.Test(ctx, req) })
}

// Status implements [wire.Service].
func (p *Process) Status(ctx context.Context, req *wire.StatusRequest) (*wire.StatusResponse, error) {
	return ask(ctx, p, true, func(s wire.Service) (*wire.StatusResponse, error) { return s.Status(ctx, req) })
}

// ask puts a question to the worker, and once more to the next one if it dies
// over it.
func ask[T any](ctx context.Context, p *Process, repeat bool, question func(wire.Service) (*T, error)) (*T, error) {
	for {
		r, err := p.worker(ctx)
		if err != nil {
			return nil, err
		}
		answer, err := question(r.client)
		if err == nil || r.client.Err() == nil || !repeat || ctx.Err() != nil {
			return answer, err
		}
		repeat = false
	}
}

// worker gives the running worker, or starts one within the deadline.
func (p *Process) worker(ctx context.Context) (*running, error) {
	if r, err := p.current(); r != nil || err != nil {
		return r, err
	}
	select {
	case p.starting <- struct{}{}:
		defer func() { <-p.starting }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if r, err := p.current(); r != nil || err != nil {
		return r, err
	}
	if err := p.pause(ctx); err != nil {
		return nil, err
	}
	r, err := start(ctx, p.library, p.log)
	if err == nil {
		err = p.tell(ctx, r)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil && p.closed {
		err = errClosed
	}
	if err != nil {
		p.failed()
		if r != nil {
			r.end()
		}
		return nil, err
	}
	p.running = r
	go p.watch(r)
	return r, nil
}

var errClosed = wire.Errorf(wire.Unavailable, "the worker has been ended, by hsmd's end or a new configuration")

// current is the worker that runs, nil if there is none.
func (p *Process) current() (*running, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	if p.running != nil && p.running.client.Err() == nil {
		return p.running, nil
	}
	return nil, nil
}

// tell gives a new worker its library and every definition.
func (p *Process) tell(ctx context.Context, r *running) error {
	p.mu.Lock()
	told := []*wire.ConfigureRequest{{Worker: &wire.WorkerConfig{Library: p.library.Path, InitArgs: p.library.InitArgs}}}
	for _, d := range p.definitions {
		told = append(told, d)
	}
	p.mu.Unlock()
	for _, d := range told {
		if _, err := r.client.Configure(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// settled is how long a worker must run for its start to count as a success.
const settled = 10 * time.Second

// failed counts a start that did not last: the next one is at once after the
// first, then after 100 ms, 200 ms and so on, up to 5 s. p.mu is held.
func (p *Process) failed() {
	p.failures++
	if p.failures > 1 {
		p.notBefore = time.Now().Add(min(50*time.Millisecond<<min(p.failures-1, 7), 5*time.Second))
	}
}

// pause waits until another start is due.
func (p *Process) pause(ctx context.Context) error {
	p.mu.Lock()
	wait := time.Until(p.notBefore)
	p.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return &wire.Error{Code: wire.Unavailable, RetryAfter: wait, Message: "the worker of library " + p.library.Name + " keeps dying"}
	}
}

// watch notes a worker's death and starts the next, so that it is there when
// it is needed.
func (p *Process) watch(r *running) {
	<-r.client.Done()
	exit := r.end()
	p.mu.Lock()
	closed := p.closed
	if !closed {
		if time.Since(r.since) > settled {
			p.failures = 0
		}
		p.failed()
	}
	p.mu.Unlock()
	if closed {
		return
	}
	p.log.Error("a worker died; another is started", "pid", r.pid(), "exit", exit)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := p.worker(ctx); err != nil {
		p.log.Error("a worker could not be started; the next request tries again", "error", err)
	}
}

// Close ends the worker. Requests under way fail.
func (p *Process) Close() {
	p.mu.Lock()
	p.closed = true
	r := p.running
	p.mu.Unlock()
	if r != nil {
		r.end()
	}
}
