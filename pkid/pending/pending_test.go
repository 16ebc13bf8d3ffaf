package pending_test

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/pending"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
)

func TestTable(t *testing.T) {
	state, err := pebblestore.Open(pebblestore.Config{Path: "state", FS: vfs.NewMem(), MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	now := time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)
	table := &pending.Table{Store: state, Now: func() time.Time { return now }}
	put := func(id string, wait time.Duration) {
		t.Helper()
		r := &pending.Request{ID: id, Path: "pki/sign/web", Params: []byte(`{"ttl":3600}`), Until: now.Add(wait), Now: now, Serial: []byte{1, 2}, New: "x"}
		if err := table.Put(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	waits := func(want ...string) {
		t.Helper()
		all, err := table.List(t.Context())
		if err != nil || len(all) != len(want) {
			t.Fatalf("%d wait, wanted %q (%v)", len(all), want, err)
		}
		for i, r := range all {
			if r.ID != want[i] || string(r.Params) != `{"ttl":3600}` || !r.Now.Equal(now.Truncate(time.Hour)) {
				t.Errorf("waits: %+v", r)
			}
			if one, err := table.Get(t.Context(), r.ID); err != nil || one == nil {
				t.Errorf("%s: %v", r.ID, err)
			}
		}
	}
	put("a", time.Hour)
	put("b", 3*time.Hour)
	waits("a", "b")
	now = now.Add(2 * time.Hour)
	if one, err := table.Get(t.Context(), "a"); one != nil || err != nil {
		t.Errorf("one that has ended: %v, %v", one, err)
	}
	if err := table.Delete(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	waits()
}
