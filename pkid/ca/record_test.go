package ca_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/hsm"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
)

func TestMain(m *testing.M) { daemon.Main(m) }

// leaving is a store whose caller, if his context says how, goes away when an
// update of his begins.
type leaving struct{ store.Store }

type leaveKey struct{}

func (s leaving) Update(ctx context.Context, fn func(store.Tx) error) error {
	if leave, ok := ctx.Value(leaveKey{}).(context.CancelFunc); ok {
		leave()
	}
	return s.Store.Update(ctx, fn)
}

// TestSignedIsRecorded: what was signed is recorded, even if whoever asked for
// it has gone away meanwhile.
func TestSignedIsRecorded(t *testing.T) {
	token := softhsm.New(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+daemon.WireKeys+daemon.InternalKeys(token))
	h.Start()
	keys, err := hsm.New(hsm.Config{Address: h.Socket})
	must(t, err)
	defer keys.Close()
	state, err := pebblestore.Open(pebblestore.Config{Path: "state", FS: vfs.NewMem(), MinFree: -1})
	must(t, err)
	defer state.Close()
	a, err := ca.Open(t.Context(), ca.Config{UUID: mount, Store: leaving{state}, Keys: keys, Now: time.Now, Log: slog.New(slog.DiscardHandler)},
		ca.Limits{DefaultTTL: time.Hour, MaxTTL: time.Hour})
	must(t, err)
	defer a.Close()
	params := func(values map[string]any) *vaultapi.Params { return vaultapi.NewParams(values) }
	stored := func(what string, want int64, act func(ctx context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		err := act(context.WithValue(ctx, leaveKey{}, cancel))
		if n, _ := a.Count(t.Context()); n != want {
			t.Errorf("%s: %d certificates are recorded, want %d (%v)", what, n, want, err)
		}
	}
	stored("a root", 1, func(ctx context.Context) error {
		wish, err := role.ReadRoot(params(map[string]any{"common_name": "Root", "key_type": "ec"}))
		must(t, err)
		_, err = a.GenerateRoot(ctx, &ca.RootRequest{Wish: wish, Key: ca.KeyRequest{Kind: "internal", Type: "ec", Bits: 256, RequestID: "one"}})
		return err
	})
	web, _, err := role.FromParams(params(map[string]any{"allow_any_name": true, "key_type": "ec", "ttl": "10m"}))
	must(t, err)
	_, err = a.PutRole(t.Context(), "web", web)
	must(t, err)
	stored("a certificate", 2, func(ctx context.Context) error {
		_, err := a.Issue(ctx, &ca.IssueRequest{Role: "web", Wish: role.ReadWish(params(map[string]any{"common_name": "a.example.com"}))})
		return err
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
