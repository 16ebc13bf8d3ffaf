package token_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/pkid/token"
)

// BenchmarkLookup is what a request with a token costs over one without, among
// twenty thousand others of which a hundred are in use.
func BenchmarkLookup(b *testing.B) {
	state, err := pebblestore.Open(pebblestore.Config{Path: b.TempDir(), MinFree: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer state.Close()
	s, err := token.Open(context.Background(), token.Config{Store: state, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var mu sync.Mutex
	var ids, children []string
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			for range 100 {
				parent, err := s.Create(context.Background(), token.Spec{Policies: []string{"operator"}, Path: "auth/token/create"})
				if err != nil {
					b.Error(err)
					return
				}
				child, err := s.Create(context.Background(), token.Spec{Policies: []string{"operator"}, Path: "auth/token/create", Parent: parent})
				if err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				ids, children = append(ids, parent.ID), append(children, child.ID)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for name, list := range map[string][]string{"orphan": ids, "child": children, "unknown": {"hvs.unknown"}} {
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				if _, err := s.Lookup(context.Background(), list[i%min(len(list), 100)]); err != nil && !errors.Is(err, token.ErrNotFound) {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run(fmt.Sprintf("open-%d", len(ids)+len(children)), func(b *testing.B) {
		for range b.N {
			again, err := token.Open(context.Background(), token.Config{Store: state, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			again.Close()
		}
	})
}
