package auth_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/auth"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/pkid/token"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// process is what one pkid process has of it, on a disk.
type process struct {
	state  store.Store
	tokens *token.Store
	table  *auth.Table
}

func open(t *testing.T, fs vfs.FS) *process {
	t.Helper()
	state, err := pebblestore.Open(pebblestore.Config{Path: "state", FS: fs, MinFree: -1})
	must(t, err)
	log := slog.New(slog.DiscardHandler)
	tokens, err := token.Open(t.Context(), token.Config{Store: state, Now: time.Now, Log: log})
	must(t, err)
	table, err := auth.Open(t.Context(), auth.Settings{Store: state, Tokens: tokens, Now: time.Now, Log: log})
	must(t, err)
	return &process{state, tokens, table}
}

func (p *process) close(t *testing.T) {
	t.Helper()
	p.table.Close()
	p.tokens.Close()
	must(t, p.state.Close())
}

// TestCrashWhileDisabling cuts the power at different moments of the disabling
// of a way to log in. Whatever is on the disk then: either nothing has happened,
// or the mount is gone, its path is not given away before its tokens are
// revoked, and in the end nothing is left.
func TestCrashWhileDisabling(t *testing.T) {
	for _, after := range []time.Duration{0, 300 * time.Microsecond, time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond} {
		fs := vfs.NewCrashableMem()
		p := open(t, fs)
		must(t, p.table.Enable(t.Context(), auth.Spec{Path: "approle", Type: "approle"}))
		m := p.table.Get("approle")
		must(t, m.AppRole.WriteRole(t.Context(), "web", vaultapi.NewParams(nil), false))
		var made []*token.Token
		for i := range 600 {
			tok, err := p.table.Login(t.Context(), m, token.Spec{DisplayName: fmt.Sprint(i)})
			must(t, err)
			made = append(made, tok)
		}
		ended := make(chan error, 1)
		go func() { ended <- p.table.Disable(context.Background(), "approle") }()
		time.Sleep(after)
		crashed := fs.CrashClone(vfs.CrashCloneCfg{})
		must(t, <-ended)
		p.close(t)

		p = open(t, crashed)
		must(t, p.table.Disable(t.Context(), "approle")) // which had not begun, or is being done, or is
		must(t, p.table.Enable(t.Context(), auth.Spec{Path: "approle", Type: "approle"}))
		for _, tok := range made {
			if _, err := p.tokens.Lookup(t.Context(), tok.ID); err == nil {
				t.Fatalf("after %v: a token lives although its path is free again", after)
			}
		}
		must(t, p.state.View(t.Context(), func(r store.Reader) error {
			start, end := store.AuthOf(m.UUID).All()
			return r.Scan(start, end, func(key, _ []byte) error {
				t.Errorf("after %v: %q is left", after, key)
				return nil
			})
		}))
		p.close(t)
	}
}

// TestLoginWhileDisabling: who is let in while the mount is disabled has a token
// that is revoked with the others, or none.
func TestLoginWhileDisabling(t *testing.T) {
	p := open(t, vfs.NewMem())
	defer p.close(t)
	must(t, p.table.Enable(t.Context(), auth.Spec{Path: "approle", Type: "approle"}))
	m := p.table.Get("approle")
	all := make(chan []*token.Token)
	begun := make(chan struct{})
	go func() {
		var made []*token.Token
		for m.Enter() {
			if tok, err := p.table.Login(context.Background(), m, token.Spec{}); err == nil {
				made = append(made, tok)
			}
			m.Leave()
			if len(made) == 1 {
				close(begun)
			}
		}
		all <- made
	}()
	<-begun
	must(t, p.table.Disable(t.Context(), "approle"))
	for _, tok := range <-all {
		if _, err := p.tokens.Lookup(t.Context(), tok.ID); err == nil {
			t.Fatal("a token lives")
		}
	}
}

// TestExpiry: a secret id is none from its end on, and is deleted later.
func TestExpiry(t *testing.T) {
	p := open(t, vfs.NewMem())
	defer p.close(t)
	must(t, p.table.Enable(t.Context(), auth.Spec{Path: "approle", Type: "approle"}))
	m := *p.table.Get("approle").AppRole
	must(t, m.WriteRole(t.Context(), "web", vaultapi.NewParams(map[string]any{"secret_id_ttl": "1h", "role_id": "web"}), false))
	for range 300 {
		_, err := m.MakeSecretID(t.Context(), "web", "", vaultapi.NewParams(nil))
		must(t, err)
	}
	s, err := m.MakeSecretID(t.Context(), "web", "", vaultapi.NewParams(nil))
	must(t, err)
	lasting, err := m.MakeSecretID(t.Context(), "web", "", vaultapi.NewParams(map[string]any{"ttl": "50m"}))
	must(t, err)
	_, err = m.Login(t.Context(), "web", s.ID, netip.Addr{})
	must(t, err)

	end := s.Expires
	m.Now = func() time.Time { return end }
	if _, err := m.Login(t.Context(), "web", s.ID, netip.Addr{}); err == nil {
		t.Error("an expired secret id is let in")
	}
	m.Now = func() time.Time { return end.Add(time.Second) } // of which the index is made
	must(t, m.Tidy(t.Context()))
	if left, err := m.Accessors(t.Context(), "web"); err != nil || len(left) != 0 {
		t.Errorf("%d are left, %v", len(left), err)
	}
	if _, err := m.Login(t.Context(), "web", lasting.ID, netip.Addr{}); err == nil {
		t.Error("an expired secret id is let in")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
