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

	renewing chan struct{} // taken by whoever tries another worker beside one that runs

	mu          sync.Mutex
	running     *running
	definitions map[string]*wire.ConfigureRequest // by handle
	defined     int                               // counts their changes
	breakers    map[string]*breaker               // of the definitions' tokens
	refusals    []wire.Refusal                    // that workers have told of
	failures    int                               // starts in a row that did not last
	notBefore   time.Time
	closed      bool
}

var _ wire.Service = (*Process)(nil)

func newProcess(id string, l Library, log *slog.Logger) *Process {
	return &Process{id: id, library: l, log: log, starting: make(chan struct{}, 1), renewing: make(chan struct{}, 1),
		definitions: map[string]*wire.ConfigureRequest{}, breakers: map[string]*breaker{}}
}

// Configure implements [wire.Service]. The definition is kept for the workers
// to come.
func (p *Process) Configure(ctx context.Context, req *wire.ConfigureRequest) (*wire.ConfigureResponse, error) {
	handle := req.Handle()
	p.mu.Lock()
	before := p.definitions[handle]
	p.define(handle, req)
	p.mu.Unlock()
	answer, _, err := ask(ctx, p, true, func(s wire.Service) (*wire.ConfigureResponse, error) { return s.Configure(ctx, req) })
	if errors.Is(err, wire.Invalid) {
		// A definition that a worker refuses would keep each next one from starting.
		p.mu.Lock()
		if p.definitions[handle] == req {
			p.define(handle, before)
		}
		p.mu.Unlock()
	}
	return answer, err
}

// define keeps a definition, or drops it for nil. p.mu is held.
func (p *Process) define(handle string, req *wire.ConfigureRequest) {
	p.defined++
	token := ""
	if req != nil && req.Definition.PKCS11 != nil {
		token = req.Definition.PKCS11.Selector()
	}
	if b := p.breakers[handle]; b != nil && b.token != token {
		b.forget(handle)
		delete(p.breakers, handle)
	}
	if req == nil {
		delete(p.definitions, handle)
		return
	}
	p.definitions[handle] = req
	if token == "" {
		return // it selects none
	}
	// Definitions that select a token in the same words share its breaker, and
	// one that is told again keeps it.
	for _, b := range p.breakers {
		if b.token == token {
			p.breakers[handle] = b
			return
		}
	}
	p.breakers[handle] = &breaker{token: token, log: p.log, silent: map[string]bool{}}
}

// Forget implements [wire.Service]. No worker is started to forget something.
func (p *Process) Forget(ctx context.Context, req *wire.ForgetRequest) (*wire.ForgetResponse, error) {
	p.mu.Lock()
	p.define(req.Key, nil)
	idle := p.closed || p.running == nil
	p.mu.Unlock()
	if idle {
		return &wire.ForgetResponse{}, nil
	}
	answer, _, err := ask(ctx, p, true, func(s wire.Service) (*wire.ForgetResponse, error) { return s.Forget(ctx, req) })
	return answer, err
}

// Sign implements [wire.Service]. It is repeated when the worker dies under it,
// unless the message is a stream, which is used up.
func (p *Process) Sign(ctx context.Context, req *wire.SignRequest) (*wire.SignResponse, error) {
	if req.Parts != nil {
		return once(ctx, p, req.Key, func(s wire.Service) (*wire.SignResponse, error) { return s.Sign(ctx, req) })
	}
	return climb(ctx, p, req.Key, func(s wire.Service) (*wire.SignResponse, error) { return s.Sign(ctx, req) })
}

// Generate implements [wire.Service]. It is not repeated: whoever asks looks
// first what became of it.
func (p *Process) Generate(ctx context.Context, req *wire.GenerateRequest) (*wire.GenerateResponse, error) {
	return once(ctx, p, req.Key, func(s wire.Service) (*wire.GenerateResponse, error) { return s.Generate(ctx, req) })
}

// Describe implements [wire.Service].
func (p *Process) Describe(ctx context.Context, req *wire.DescribeRequest) (*wire.DescribeResponse, error) {
	question := func(s wire.Service) (*wire.DescribeResponse, error) { return s.Describe(ctx, req) }
	if req.Key == "" || !req.Find {
		answer, _, err := ask(ctx, p, true, question)
		return answer, err
	}
	answer, err := climb(ctx, p, req.Key, func(s wire.Service) (*wire.DescribeResponse, error) {
		answer, err := question(s)
		if err == nil && len(answer.Keys) == 1 {
			err = answer.Keys[0].Fault.Err()
		}
		return answer, err
	})
	if answer != nil {
		return answer, nil // it has the fault in it
	}
	return nil, err
}

// Test implements [wire.Service].
func (p *Process) Test(ctx context.Context, req *wire.TestRequest) (*wire.TestResponse, error) {
	answer, _, err := ask(ctx, p, false, func(s wire.Service) (*wire.TestResponse, error) { return s.Test(ctx, req) })
	return answer, err
}

// Status implements [wire.Service]. What is known without a worker is told also
// where there is none that answers.
func (p *Process) Status(ctx context.Context, req *wire.StatusRequest) (*wire.StatusResponse, error) {
	answer, _, err := ask(ctx, p, true, func(s wire.Service) (*wire.StatusResponse, error) { return s.Status(ctx, req) })
	if err != nil || len(answer.Libraries) != 1 {
		answer = &wire.StatusResponse{Libraries: []wire.LibraryStatus{{Path: p.library.Path, Fault: wire.FaultOf(err)}}}
	}
	answer.Libraries[0].Away = p.away()
	p.remember(answer.Refused)
	answer.Refused = p.remembered()
	return answer, nil
}

// worker gives the running worker, or starts one within the deadline. It is the
// caller's to use until he calls users.Done.
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
	r.users.Add(1)
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
		p.running.users.Add(1)
		return p.running, nil
	}
	return nil, nil
}

// tell gives a new worker its library and every definition.
func (p *Process) tell(ctx context.Context, r *running) error {
	p.mu.Lock()
	told := []*wire.ConfigureRequest{{Worker: &wire.WorkerConfig{Library: p.library.Path, InitArgs: p.library.InitArgs}}}
	for _, d := range p.definitions {
		told = append(told, p.withRefusals(d))
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
	closed, retired := p.closed, p.running != r
	if !closed && !retired {
		if time.Since(r.since) > settled {
			p.failures = 0
		}
		p.failed()
	}
	p.mu.Unlock()
	if closed || retired {
		return
	}
	p.log.Error("a worker died; another is started", "pid", r.pid(), "exit", exit)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	next, err := p.worker(ctx)
	if err != nil {
		p.log.Error("a worker could not be started; the next request tries again", "error", err)
		return
	}
	next.users.Done()
}

// Close ends the worker. Requests under way fail.
func (p *Process) Close() {
	p.mu.Lock()
	p.closed = true
	r := p.running
	p.mu.Unlock()
	if r == nil {
		return
	}
	if exit := r.end(); exit != "exit status 0" {
		p.log.Warn("a worker did not end well", "pid", r.pid(), "exit", exit)
	}
}
