package main

import (
	"context"
	"fmt"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// watched is what pkid's watchdog goes by: a read of the store. An hsmd that is
// away, or a disk that is full, is no reason to restart pkid, which answers
// what it can; that the store takes no writes is told in the unit's status.
func watched(state store.Store) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		mounts := 0
		start, end := store.Mounts()
		err := state.View(ctx, func(r store.Reader) error {
			return r.Scan(start, end, func(_, _ []byte) error { mounts++; return nil })
		})
		if err != nil {
			return "", fmt.Errorf("the store cannot be read: %w", err)
		}
		if err := state.Writable(); err != nil {
			return fmt.Sprintf("%d stored mounts; %v", mounts, err), nil
		}
		return fmt.Sprintf("%d stored mounts", mounts), nil
	}
}
