package worker

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// What can be done about a token that is away, beyond what its worker does: the
// library is loaded and initialised anew, in another worker. Some libraries see
// in no other way that a token, or their HSM, is back.

// hung is how long a call of the library may take until its worker gives itself
// up. A request that was under way for as long is the one that hung, or waited
// behind it, and is not put to the next worker.
const hung = 10 * time.Second

// drained is how long the requests of a worker that was replaced may go on.
const drained = 30 * time.Second

// ask puts a question to the worker, and once more to the next one if it dies
// over it. It says which worker it was last, nil if there was none.
func ask[T any](ctx context.Context, p *Process, repeat bool, question func(wire.Service) (*T, error)) (*T, *running, error) {
	for {
		r, err := p.worker(ctx)
		if err != nil {
			return nil, nil, err
		}
		began := time.Now()
		answer, err := question(r.client)
		r.users.Done()
		if err == nil || r.client.Err() == nil || ctx.Err() != nil {
			return answer, r, err
		}
		if time.Since(began) >= hung {
			return nil, r, unavailable("a call of library %s did not return within %s; its worker is replaced", p.library.Name, hung)
		}
		if !repeat {
			return nil, r, unavailable("the worker of library %s died over the request: %s", p.library.Name, wire.AsError(err).Message)
		}
		repeat = false
	}
}

func unavailable(format string, args ...any) *wire.Error {
	return &wire.Error{Code: wire.Unavailable, RetryAfter: time.Second, Message: fmt.Sprintf(format, args...)}
}

// climb puts a question about a key, which may be repeated, to the worker, and
// where the key's token is away to another that is started beside it.
func climb[T any](ctx context.Context, p *Process, key string, question func(wire.Service) (*T, error)) (*T, error) {
	b := p.breaker(key)
	if b == nil {
		answer, _, err := ask(ctx, p, true, question)
		return answer, err
	}
	if err := b.enter(key); err != nil {
		return nil, err
	}
	answer, r, err := ask(ctx, p, true, question)
	if away(ctx, err) && r != nil && r.client.Err() == nil {
		return renewed(ctx, p, b, key, r, question, answer, err)
	}
	b.leave(ctx, key, err)
	p.learn(ctx, r, err)
	return answer, err
}

// once puts a question that is not repeated. Where the token is away, looking
// for the key finds a worker that reaches it, for whoever asks again.
func once[T any](ctx context.Context, p *Process, key string, question func(wire.Service) (*T, error)) (*T, error) {
	b := p.breaker(key)
	if b != nil {
		if err := b.enter(key); err != nil {
			return nil, err
		}
	}
	answer, r, err := ask(ctx, p, false, question)
	if b == nil {
		return answer, err
	}
	if !away(ctx, err) {
		b.leave(ctx, key, err)
		p.learn(ctx, r, err)
		return answer, err
	}
	b.release(key)
	_, _ = p.Describe(ctx, &wire.DescribeRequest{Key: key, Find: true})
	return answer, err
}

// renewed is the last rung. Many who need it at once try one other worker. It
// takes over where it gets further, so that the tokens that the first one
// reaches do not suffer for the one that is away; or where there are none.
func renewed[T any](ctx context.Context, p *Process, b *breaker, key string, r *running, question func(wire.Service) (*T, error), answer *T, failure error) (*T, error) {
	select {
	case p.renewing <- struct{}{}:
		defer func() { <-p.renewing }()
	case <-ctx.Done():
		b.release(key)
		return answer, failure
	}
	if !p.runs(r) {
		// Somebody has got another meanwhile.
		answer, _, err := ask(ctx, p, true, question)
		b.leave(ctx, key, err)
		return answer, err
	}
	if b.triedFor(key) {
		// Somebody has tried another meanwhile, for this key or one beside it.
		b.leave(ctx, key, failure)
		return answer, failure
	}
	defined := p.changes()
	next, err := start(ctx, p.library, p.log)
	if err == nil {
		err = p.tell(ctx, next)
	}
	if err != nil {
		b.leave(ctx, key, failure)
		if next != nil {
			next.end()
		}
		return answer, failure
	}
	answer, err = question(next.client)
	b.leave(ctx, key, err)
	p.learn(ctx, next, err)
	further := !away(ctx, err)
	if next.client.Err() != nil || !further && !p.alone(b) || !p.replace(r, next, defined, further) {
		next.end()
	}
	return answer, err
}

// changes counts the changes of definitions.
func (p *Process) changes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.defined
}

// replace puts a worker in another's place, whose requests may end. One that was
// told of other definitions than are known by now is not taken: the next that
// fails tries again.
func (p *Process) replace(old, next *running, defined int, further bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.running != old || p.defined != defined {
		return false
	}
	p.running = next
	level := slog.LevelInfo
	if !further {
		level = slog.LevelDebug // as often as the breaker lets somebody look
	}
	p.log.Log(context.Background(), level, "a new worker takes over", "pid", next.pid(), "from", old.pid())
	go p.watch(next)
	go func() {
		cut := time.AfterFunc(drained, func() { old.end() })
		defer cut.Stop()
		old.users.Wait()
		old.end()
	}()
	return true
}

func (p *Process) runs(r *running) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running == r && r.client.Err() == nil
}

// alone reports whether no token but one, and others that are away, is in use,
// and that for no key.
func (p *Process) alone(b *breaker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, other := range p.breakers {
		if other != b && !other.open.Load() || other == b && !b.isSilent(key) {
			return false
		}
	}
	return true
}

func (p *Process) breaker(key string) *breaker {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.breakers[key]
}

// away is what a status shows of the breakers.
func (p *Process) away() []wire.BreakerStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	shown := map[*breaker]bool{}
	var out []wire.BreakerStatus
	for _, b := range p.breakers {
		if s := b.status(); s != nil && !shown[b] {
			out = append(out, *s)
		}
		shown[b] = true
	}
	slices.SortFunc(out, func(a, b wire.BreakerStatus) int { return cmp.Compare(a.Token, b.Token) })
	return out
}

// learn keeps the PINs that a token has refused, before anybody hears of it: a
// worker that is started after this one must not show them again.
func (p *Process) learn(ctx context.Context, r *running, err error) {
	if r == nil || !errors.Is(err, wire.LoginRefused) {
		return
	}
	status, err := r.client.Status(context.WithoutCancel(ctx), &wire.StatusRequest{})
	if err != nil {
		p.log.Error("a PIN was refused, and the worker does not tell which", "error", err)
		return
	}
	p.remember(status.Refused)
}

func (p *Process) remember(refused []wire.Refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, refusal := range refused {
		if !slices.ContainsFunc(p.refusals, func(known wire.Refusal) bool { return bytes.Equal(known.MAC, refusal.MAC) }) {
			p.refusals = append(p.refusals, refusal)
		}
	}
}

// remembered are the PINs that tokens of all workers so far have refused.
func (p *Process) remembered() []wire.Refusal {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.refusals)
}

// withRefusals is a definition as a new worker is told it. p.mu is held.
func (p *Process) withRefusals(d *wire.ConfigureRequest) *wire.ConfigureRequest {
	if len(p.refusals) == 0 || d.Worker == nil {
		return d
	}
	told, worker := *d, *d.Worker
	worker.Refusals = slices.Concat(worker.Refusals, p.refusals)
	told.Worker = &worker
	return &told
}
