package token_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/pkid/token"
)

// clock is a time that a test sets.
type clock struct{ atomic.Pointer[time.Time] }

func (c *clock) now() time.Time { return *c.Load() }

func (c *clock) pass(d time.Duration) {
	next := c.now().Add(d)
	c.Store(&next)
}

func newClock() *clock {
	c := &clock{}
	start := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	c.Store(&start)
	return c
}

func openState(t *testing.T, fs vfs.FS) store.Store {
	t.Helper()
	s, err := pebblestore.Open(pebblestore.Config{Path: "state", FS: fs, MinFree: -1})
	must(t, err)
	return s
}

func openTokens(t *testing.T, state store.Store, c *clock) *token.Store {
	t.Helper()
	s, err := token.Open(t.Context(), token.Config{Store: state, Now: c.now, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	return s
}

// fresh is an empty store of tokens.
func fresh(t *testing.T) (*token.Store, *clock, store.Store) {
	t.Helper()
	c := newClock()
	state := openState(t, vfs.NewMem())
	s := openTokens(t, state, c)
	t.Cleanup(func() {
		s.Close()
		must(t, state.Close())
	})
	return s, c, state
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, s *token.Store, spec token.Spec) *token.Token {
	t.Helper()
	if spec.Path == "" {
		spec.Path = "auth/token/create"
	}
	made, err := s.Create(t.Context(), spec)
	must(t, err)
	return made
}

// lives reports whether a token is one.
func lives(t *testing.T, s *token.Store, which *token.Token) bool {
	t.Helper()
	_, err := s.Lookup(t.Context(), which.ID)
	if err != nil && !errors.Is(err, token.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// stored are the keys of all tokens that are left in the state.
func stored(t *testing.T, state store.Store) (keys []string) {
	t.Helper()
	must(t, state.View(t.Context(), func(r store.Reader) error {
		return r.Scan([]byte("token/"), []byte("token0"), func(key, _ []byte) error {
			if string(key) != "token/key" {
				keys = append(keys, string(key))
			}
			return nil
		})
	}))
	return keys
}

// gone waits until nothing is left of any token.
func gone(t *testing.T, s *token.Store, state store.Store) {
	t.Helper()
	must(t, s.Tidy(t.Context()))
	if keys := stored(t, state); len(keys) > 0 {
		t.Errorf("left in the state: %q", keys)
	}
}

// TestStoredHashed: what is stored gives no token, and a token has what it was
// made with.
func TestStoredHashed(t *testing.T) {
	s, c, state := fresh(t)
	made := create(t, s, token.Spec{Policies: []string{"B", "a", "b"}, DisplayName: "token-x", Meta: map[string]string{"k": "v"}, TTL: time.Hour,
		BoundCIDRs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	if !strings.HasPrefix(made.ID, "hvs.") || len(made.ID) < 95 {
		t.Errorf("the id is %q", made.ID)
	}
	found, err := s.Lookup(t.Context(), made.ID)
	must(t, err)
	if !slices.Equal(found.Policies, []string{"a", "b", "default"}) || found.Meta["k"] != "v" || !found.Expires.Equal(c.now().Add(time.Hour)) || !found.Renewable || !found.Orphan() {
		t.Errorf("found %+v", found)
	}
	for addr, want := range map[string]bool{"192.0.2.7": true, "::ffff:192.0.2.7": true, "192.0.3.7": false, "::1": false} {
		if found.From(netip.MustParseAddr(addr)) != want {
			t.Errorf("from %s: not %v", addr, want)
		}
	}
	if found.From(netip.Addr{}) {
		t.Error("a token that is bound to addresses may come without one")
	}
	must(t, state.View(t.Context(), func(r store.Reader) error {
		return r.Scan([]byte("a"), nil, func(key, value []byte) error {
			if strings.Contains(string(key)+string(value), made.ID[4:]) {
				t.Errorf("%q has the id in it", key)
			}
			return nil
		})
	}))
	byAccessor, err := s.LookupAccessor(t.Context(), made.Accessor)
	must(t, err)
	if byAccessor.ID != "" || !byAccessor.Is(made) {
		t.Errorf("by accessor: %+v", byAccessor)
	}
	for _, id := range []string{"", "x", made.ID + "x", made.ID[:20], made.Accessor, strings.ToLower(made.ID)} {
		if _, err := s.Lookup(t.Context(), id); !errors.Is(err, token.ErrNotFound) {
			t.Errorf("lookup of %q: %v", id, err)
		}
	}
	if _, err := s.Create(t.Context(), token.Spec{ID: made.ID, Path: "auth/token/create"}); !errors.Is(err, token.ErrExists) {
		t.Errorf("the same id again: %v", err)
	}
	if byAccessor, err = s.LookupAccessor(t.Context(), made.ID); !errors.Is(err, token.ErrNotFound) {
		t.Errorf("an id taken for an accessor: %v, %v", byAccessor, err)
	}
}

// TestEnds: a token ends with its time and with each of its parents.
func TestEnds(t *testing.T) {
	s, c, state := fresh(t)
	parent := create(t, s, token.Spec{Policies: []string{"a"}, TTL: time.Hour})
	child := create(t, s, token.Spec{Policies: []string{"a"}, Parent: parent})
	grandchild := create(t, s, token.Spec{Policies: []string{"a"}, Parent: child})
	other := create(t, s, token.Spec{Policies: []string{"a"}, TTL: 2 * time.Hour})
	c.pass(time.Hour)
	for _, x := range []*token.Token{parent, child, grandchild} {
		if lives(t, s, x) {
			t.Errorf("%s outlives its parents", x.Path)
		}
	}
	if _, err := s.Create(t.Context(), token.Spec{Parent: child}); !errors.Is(err, token.ErrNotFound) {
		t.Errorf("a child of what has ended: %v", err)
	}
	if !lives(t, s, other) {
		t.Error("another token has ended")
	}
	c.pass(time.Hour + time.Second)
	gone(t, s, state)
}

func TestRevoke(t *testing.T) {
	s, _, state := fresh(t)
	root := create(t, s, token.Spec{Policies: []string{"root"}})
	var children []*token.Token
	for range 300 { // more than one page
		children = append(children, create(t, s, token.Spec{Policies: []string{"a"}, Parent: root}))
	}
	grandchild := create(t, s, token.Spec{Policies: []string{"a"}, Parent: children[7]})

	must(t, s.RevokeOrphan(t.Context(), children[7]))
	if lives(t, s, children[7]) || !lives(t, s, grandchild) {
		t.Error("revoke-orphan: the token lives, or its child does not")
	}
	must(t, s.Revoke(t.Context(), root))
	for _, x := range append(children, root) {
		if lives(t, s, x) {
			t.Fatal("a token of the tree lives")
		}
	}
	if !lives(t, s, grandchild) {
		t.Error("the orphan ended with its grandparent")
	}
	must(t, s.Revoke(t.Context(), root)) // once more is no error
	must(t, s.Revoke(t.Context(), grandchild))
	gone(t, s, state)

	parent := create(t, s, token.Spec{})
	children = children[:0]
	for range 300 {
		children = append(children, create(t, s, token.Spec{Parent: parent}))
	}
	must(t, s.RevokeOrphan(t.Context(), parent))
	for range 2 {
		for _, x := range children {
			if !lives(t, s, x) {
				t.Fatal("a child ended with the parent that was revoked alone")
			}
		}
		must(t, s.Tidy(t.Context())) // after which they have no parent any more
	}
	for _, x := range children {
		found, err := s.Lookup(t.Context(), x.ID)
		must(t, err)
		if !found.Orphan() {
			t.Fatal("a child has still a parent")
		}
		must(t, s.Revoke(t.Context(), x))
	}
	gone(t, s, state)

	long := create(t, s, token.Spec{})
	for err := error(nil); err == nil; {
		var next *token.Token
		if next, err = s.Create(t.Context(), token.Spec{Parent: long, Path: "auth/token/create"}); err == nil {
			long = next
		} else if !errors.Is(err, token.ErrTooDeep) {
			t.Fatal(err)
		}
	}
}

// TestRevokeByPath: what an auth method made goes with it, and what descends
// from that.
func TestRevokeByPath(t *testing.T) {
	s, _, state := fresh(t)
	var login *token.Token
	for range 300 {
		login = create(t, s, token.Spec{Path: "auth/approle/login"})
	}
	child := create(t, s, token.Spec{Parent: login})
	other := create(t, s, token.Spec{Path: "auth/approle2/login"})
	if _, err := s.Create(t.Context(), token.Spec{Path: "auth/approle/login", Policies: []string{"a", "Root"}}); !errors.Is(err, token.ErrRootByLogin) {
		t.Errorf("a login that gives root: %v", err)
	}
	must(t, s.RevokeByPath(t.Context(), "auth/approle/"))
	if lives(t, s, login) || lives(t, s, child) || !lives(t, s, other) {
		t.Error("not what was made at the path ended, or more")
	}
	must(t, s.RevokeByPath(t.Context(), "auth/"))
	gone(t, s, state)
}

// TestUses: of many who use a token at once, no more get in than it has uses.
func TestUses(t *testing.T) {
	s, _, state := fresh(t)
	for _, uses := range []int{1, 3} {
		made := create(t, s, token.Spec{NumUses: uses})
		var in atomic.Int32
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				found, err := s.Lookup(context.Background(), made.ID)
				if err == nil {
					err = s.Use(context.Background(), found)
				}
				if err == nil {
					in.Add(1)
				} else if !errors.Is(err, token.ErrNotFound) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if int(in.Load()) != uses {
			t.Errorf("a token of %d uses was used %d times", uses, in.Load())
		}
	}
	gone(t, s, state)
}

// TestCrash cuts the power while a tree is revoked: once the revocation was
// answered nobody of the tree is let in, and at the end nothing is left of it.
func TestCrash(t *testing.T) {
	fs := vfs.NewCrashableMem()
	c := newClock()
	state := openState(t, fs)
	s := openTokens(t, state, c)
	root := create(t, s, token.Spec{})
	all := []*token.Token{root}
	for i := range 3 {
		middle := create(t, s, token.Spec{Parent: root, DisplayName: fmt.Sprint(i)})
		all = append(all, middle)
		for range 270 {
			all = append(all, create(t, s, token.Spec{Parent: middle}))
		}
	}
	must(t, s.Revoke(t.Context(), root))
	for range 3 {
		crashed := fs.CrashClone(vfs.CrashCloneCfg{})
		s.Close()
		must(t, state.Close())
		fs = crashed
		state = openState(t, fs)
		s = openTokens(t, state, c)
		for _, x := range all {
			if lives(t, s, x) {
				t.Fatal("a token of the tree lives after the crash")
			}
		}
	}
	gone(t, s, state)
	s.Close()
	must(t, state.Close())
}
