package pending_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/pending"
)

// TestTurn: one at a time for each request, and no waiting for another's.
func TestTurn(t *testing.T) {
	table := &pending.Table{}
	take := func(id string) (done func()) {
		t.Helper()
		done, err := table.Turn(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	first := take("a")
	take("b")() // is not held up by that of a
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := table.Turn(ended, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("two have the turn of a: %v", err)
	}
	var all sync.WaitGroup
	inside := 0 // the race detector says so if two are
	for range 20 {
		all.Go(func() {
			defer take("a")()
			inside++
		})
	}
	first()
	all.Wait()
	if inside != 20 {
		t.Errorf("%d had the turn", inside)
	}
	take("a")()
}
