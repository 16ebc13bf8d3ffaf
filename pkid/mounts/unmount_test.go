package mounts_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/hsm"
	"github.com/hsmpki/hsmpki/pkid/mounts"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
)

// TestUnmountedForGood: a request that found the mount before it was unmounted
// writes nothing to it afterwards, when nobody would delete that any more.
func TestUnmountedForGood(t *testing.T) {
	s, err := pebblestore.Open(pebblestore.Config{Path: "state", FS: vfs.NewMem(), MinFree: -1})
	must(t, err)
	defer s.Close()
	keys, err := hsm.New(hsm.Config{Address: "/nowhere/hsmd.sock"})
	must(t, err)
	defer keys.Close()
	table, err := mounts.Open(t.Context(), mounts.Settings{Store: s, Keys: keys, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer table.Close()
	must(t, table.Enable(t.Context(), mounts.Spec{Path: "pki", Type: "pki"}))
	found := table.Get("pki")
	_, err = found.Authority.PutRole(t.Context(), "web", &role.Role{})
	must(t, err)

	must(t, table.Disable(t.Context(), "pki"))
	deleted := func(r store.Reader) error {
		_, err := r.Get(store.Unmounted(found.UUID))
		return err
	}
	for s.View(t.Context(), deleted) == nil { // goes on in the background
		time.Sleep(time.Millisecond)
	}
	if _, err := found.Authority.PutRole(t.Context(), "late", &role.Role{}); err == nil {
		t.Error("a role was written to a mount that is gone")
	}
	must(t, s.View(t.Context(), func(r store.Reader) error {
		start, end := store.Of(found.UUID).All()
		return r.Scan(start, end, func(key, _ []byte) error {
			t.Errorf("%q is left", key)
			return nil
		})
	}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
