package ca_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
)

// TestOpenDamaged: state that cannot be read is an error that says where.
func TestOpenDamaged(t *testing.T) {
	space := store.Of(mount)
	for name, key := range map[string][]byte{"settings": space.Settings(), "keys": space.Key("k"), "issuers": space.Issuer("i"), "roles": space.Role("r")} {
		s, err := pebblestore.Open(pebblestore.Config{Path: "state", FS: vfs.NewMem(), MinFree: -1})
		must(t, err)
		must(t, s.Update(t.Context(), func(tx store.Tx) error { return tx.Put(key, []byte("{")) }))
		_, err = ca.Open(t.Context(), ca.Config{UUID: mount, Store: s, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}, ca.Limits{})
		if err == nil || !strings.Contains(err.Error(), mount) || !strings.Contains(err.Error(), strings.TrimSuffix(name, "s")) {
			t.Errorf("%s: %v", name, err)
		}
		must(t, s.Close())
	}
}
