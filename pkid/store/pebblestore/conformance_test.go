package pebblestore_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/pkid/store/storetest"
)

func open(t *testing.T, cfg pebblestore.Config) *pebblestore.Store {
	t.Helper()
	s, err := pebblestore.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestConformance runs the suite on a real directory and, where syncs cost
// nothing and so races are other ones, in memory.
func TestConformance(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("disk", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) store.Store {
			return open(t, pebblestore.Config{Path: t.TempDir()})
		})
	})
	t.Run("memory", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) store.Store {
			return open(t, pebblestore.Config{Path: "state", FS: vfs.NewMem()})
		})
	})
}
