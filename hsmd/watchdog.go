package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

// check is what hsmd's watchdog goes by: each worker is asked for its tokens
// and sessions. An HSM that is away, or a library that hangs, is no reason to
// restart hsmd: workers are replaced one by one, others go on, and a restart
// would end their sessions and bring no HSM back. It is told in the unit's
// status. What check proves is that hsmd itself gets through to each worker, or
// knows by the deadline that it does not: it does not return where that is
// stuck.
func (h *hsmd) check(ctx context.Context) (string, error) {
	libraries := h.srv.State().Libraries
	answers := make([]wire.LibraryStatus, len(libraries))
	var asked sync.WaitGroup
	for i, l := range libraries {
		asked.Go(func() { answers[i] = ask(ctx, l) })
	}
	asked.Wait()
	var tokens, sessions, away int
	for _, a := range answers {
		tokens += len(a.Tokens)
		for _, t := range a.Tokens {
			sessions += t.Sessions
		}
		if a.Fault != nil || len(a.Away) > 0 {
			away++
		}
	}
	return fmt.Sprintf("%d libraries (%d of them away), %d tokens, %d sessions", len(libraries), away, tokens, sessions), nil
}

func ask(ctx context.Context, l *managedkey.Library) wire.LibraryStatus {
	answer, err := l.Backend.Status(ctx, &wire.StatusRequest{})
	switch {
	case err != nil:
		return wire.LibraryStatus{Fault: wire.FaultOf(err)}
	case len(answer.Libraries) != 1:
		return wire.LibraryStatus{}
	}
	return answer.Libraries[0]
}
