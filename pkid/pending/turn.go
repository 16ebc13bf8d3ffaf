package pending

import (
	"context"
	"sync"
)

// turns says of which requests somebody has the turn. Its zero value is ready.
type turns struct {
	mu    sync.Mutex
	taken map[string]chan struct{} // by id; closed when the turn ends
}

// Turn waits until nobody else asks again for the request of an id, and takes the
// turn until done is called: two at once would issue it twice. Requests of other
// ids do not wait. Its error is ctx's.
func (t *Table) Turn(ctx context.Context, id string) (done func(), err error) {
	for {
		other, done := t.turns.take(id)
		if other == nil {
			return done, nil
		}
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take takes the turn, or gives what is closed when it may be free.
func (t *turns) take(id string) (other <-chan struct{}, done func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if other := t.taken[id]; other != nil {
		return other, nil
	}
	if t.taken == nil {
		t.taken = map[string]chan struct{}{}
	}
	mine := make(chan struct{})
	t.taken[id] = mine
	return nil, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.taken, id)
		close(mine)
	}
}
