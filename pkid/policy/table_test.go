package policy_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/policy"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
)

// TestTable: policies are there after a restart; a text that is none leaves the
// old one; root and default stay; a change counts at once.
func TestTable(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	open := func() (*policy.Table, func()) {
		state, err := pebblestore.Open(pebblestore.Config{Path: dir, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		table, err := policy.Open(ctx, state)
		if err != nil {
			t.Fatal(err)
		}
		return table, func() { state.Close() }
	}
	table, closeAll := open()
	ask := policy.Request{Path: "pki/ca", Operation: policy.Read}
	if table.ACL([]string{"ops"}, nil).Allow(ask) {
		t.Error("a policy that is not there gives something")
	}
	if err := table.Write(ctx, "Ops", `path "pki/*" { capabilities = ["read"] }`); err != nil {
		t.Fatal(err)
	}
	if err := table.Write(ctx, "ops", "path \"pki/*\" {\n capabilities = [\"rade\"] }"); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a text that is none: %v", err)
	}
	for _, err := range []error{table.Write(ctx, "ROOT", ""), table.Delete(ctx, "root"), table.Delete(ctx, "Default")} {
		if !errors.Is(err, policy.ErrFixed) {
			t.Errorf("what is pkid's own: %v", err)
		}
	}
	closeAll()

	table, closeAll = open()
	defer closeAll()
	if got := table.Names(); !slices.Equal(got, []string{"default", "ops", "root"}) {
		t.Errorf("after a restart: %v", got)
	}
	if acl := table.ACL([]string{"default", "ops"}, nil); !acl.Allow(ask) || acl.Capabilities("sys/capabilities-self")[0] != "update" {
		t.Error("the policies do not give what they say")
	}
	if got := table.ACL([]string{"root"}, nil).Capabilities("x"); got[0] != policy.Root {
		t.Errorf("root: %v", got)
	}
	if err := table.Delete(ctx, "ops"); err != nil || table.Read("ops") != nil || table.ACL([]string{"default", "ops"}, nil).Allow(ask) {
		t.Errorf("a policy that was deleted still counts (%v)", err)
	}
}

// asking is a store that has a question asked while it writes.
type asking struct {
	store.Store
	ask func()
}

func (s *asking) Update(ctx context.Context, fn func(store.Tx) error) error {
	s.ask()
	return s.Store.Update(ctx, fn)
}

// TestSlowDisk: while a policy is on its way to the disk, everybody is judged
// by the old one and nobody has to wait.
func TestSlowDisk(t *testing.T) {
	state, err := pebblestore.Open(pebblestore.Config{Path: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	slow := &asking{Store: state, ask: func() {}}
	table, err := policy.Open(t.Context(), slow)
	if err != nil {
		t.Fatal(err)
	}
	asked := false
	slow.ask = func() {
		asked = true
		if table.ACL([]string{"ops"}, nil).Allow(policy.Request{Path: "a", Operation: policy.Read}) || table.Read("ops") != nil {
			t.Error("a policy counts before it is durable")
		}
	}
	if err := table.Write(t.Context(), "ops", `path "a" { policy = "read" }`); err != nil || !asked {
		t.Fatal(err, asked)
	}
	if !table.ACL([]string{"ops"}, nil).Allow(policy.Request{Path: "a", Operation: policy.Read}) {
		t.Error("the ACL of before is still in force")
	}
}

// TestNamesOfTwo: a name that reads as two is none of either.
func TestNamesOfTwo(t *testing.T) {
	s, err := pebblestore.Open(pebblestore.Config{Path: t.TempDir(), MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	table, err := policy.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	ask := policy.Request{Path: "sys/mounts", Operation: policy.Read}
	if !table.ACL([]string{"a", "root"}, nil).Allow(ask) || table.ACL([]string{"a\nroot"}, nil).Allow(ask) {
		t.Error("root is where it is not, or not where it is")
	}
}
