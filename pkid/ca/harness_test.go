package ca_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/hsm"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
)

// alone is an authority with no hsmd behind it, on a state in memory. It is
// closed with the test.
func alone(t *testing.T) *ca.Authority {
	t.Helper()
	keys, err := hsm.New(hsm.Config{Address: "/nowhere/hsmd.sock"})
	must(t, err)
	t.Cleanup(func() { keys.Close() })
	s, err := pebblestore.Open(pebblestore.Config{Path: "state", FS: vfs.NewMem(), MinFree: -1})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	a, err := ca.Open(t.Context(), ca.Config{UUID: mount, Store: s, Keys: keys, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}, ca.Limits{})
	must(t, err)
	t.Cleanup(a.Close)
	return a
}
