package grant_test

import (
	"os/user"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/grant"
	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// Users and groups of the tests, by number so that any machine has them.
const (
	root, own, pkid, ops, stranger = 0, 900, 901, 902, 903
	staff                          = 800
)

func table(t *testing.T, clients ...config.Client) *grant.Table {
	t.Helper()
	made, err := grant.NewTable(clients, own)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func client(user, group, capabilities, keys string) config.Client {
	c := config.Client{Name: "c-" + user + group, User: user, Group: group, Keys: strings.Fields(keys)}
	for _, capability := range strings.Fields(capabilities) {
		c.Capabilities = append(c.Capabilities, config.Capability(capability))
	}
	return c
}

// may writes down everything that a peer may ask of the keys "issuing-1",
// "issuing-2" and "root"; "-" is a peer that is cut off.
func may(t *grant.Table, peer unixsock.Peer) string {
	g, ok := t.Grant(peer)
	if !ok {
		return "-"
	}
	var rows []string
	for _, key := range []string{"issuing-1", "issuing-2", "root"} {
		var ops []string
		for _, op := range []grant.Operation{grant.Describe, grant.Status, grant.Sign, grant.Generate, grant.Test, grant.Configure, grant.Audit, grant.Approve} {
			if g.Allows(op, key) {
				ops = append(ops, string(op)[:2])
			}
		}
		rows = append(rows, strings.Join(ops, " "))
	}
	return strings.Join(rows, " | ")
}

func TestTruth(t *testing.T) {
	const all = "de st si ge te co au ap | de st si ge te co au ap | de st si ge te co au ap"
	const rootAlways = "de st te au ap | de st te au ap | de st te au ap"
	user := func(uid uint32) unixsock.Peer { return unixsock.Peer{UID: uid, GID: uid} }
	inStaff := func(uid uint32) unixsock.Peer { return unixsock.Peer{UID: uid, GID: uid, Groups: []uint32{1, staff}} }
	staffFirst := func(uid uint32) unixsock.Peer { return unixsock.Peer{UID: uid, GID: staff} }

	none := table(t)
	one := table(t, client("901", "", "sign generate", "*"))
	keys := table(t, client("901", "", "sign", "issuing-1 issuing-2"))
	exact := table(t, client("901", "", "sign", "root"))
	union := table(t, client("901", "", "sign", "issuing-1"), client("", "800", "test", "issuing-1 issuing-2"))
	both := table(t, client("901", "800", "sign", "*"))
	roots := table(t, client("0", "", "sign", "root"))
	bare := table(t, client("901", "", "", "*"))
	noKeys := table(t, client("901", "", "sign", ""))
	selfNamed := table(t, client("900", "", "sign", "*"))

	for _, c := range []struct {
		what  string
		table *grant.Table
		peer  unixsock.Peer
		want  string
	}{
		{"no block: root", none, user(root), all},
		{"no block: own user", none, user(own), all},
		{"no block: stranger", none, user(stranger), "-"},
		{"no block: stranger in group 0", none, unixsock.Peer{UID: stranger, GID: 0, Groups: []uint32{0}}, "-"},
		{"a block: its user", one, user(pkid), "de st si ge | de st si ge | de st si ge"},
		{"a block: root without one", one, user(root), rootAlways},
		{"a block: own user without one", one, user(own), "-"},
		{"a block: stranger", one, user(stranger), "-"},
		{"two keys by name", keys, user(pkid), "de st si | de st si | "},
		{"one key by name", exact, user(pkid), " |  | de st si"},
		{"two blocks match: operations stay with their keys", union, inStaff(pkid), "de st si te | de st te | "},
		{"one of two by user", union, user(pkid), "de st si |  | "},
		{"one of two by group", union, inStaff(ops), "de st te | de st te | "},
		{"by primary group", union, staffFirst(ops), "de st te | de st te | "},
		{"user and group, both", both, inStaff(pkid), "de st si | de st si | de st si"},
		{"user and group, user only", both, user(pkid), "-"},
		{"user and group, group only", both, inStaff(ops), "-"},
		{"root with a block has that block only", roots, user(root), " |  | de st si"},
		{"no capabilities: describe and status", bare, user(pkid), "de st | de st | de st"},
		{"no keys", noKeys, user(pkid), " |  | "},
		{"own user named", selfNamed, user(own), "de st si | de st si | de st si"},
	} {
		if got := may(c.table, c.peer); got != c.want {
			t.Errorf("%s:\ngot  %q\nwant %q", c.what, got, c.want)
		}
	}
	if names := selfNamed.NamesOwnUser(); len(names) != 1 || names[0] != "c-900" {
		t.Errorf("own user named by %v", names)
	}
	if g, _ := union.Grant(inStaff(pkid)); g.String() != "describe, status, sign on issuing-1; describe, status, test on issuing-1, issuing-2" || len(g.Names) != 2 {
		t.Errorf("reads %q of %v", g.String(), g.Names)
	}
	if g, _ := noKeys.Grant(user(pkid)); !g.Has(grant.Sign) || g.Has(grant.Test) {
		t.Error("what may be asked without a key")
	}
}

func TestNames(t *testing.T) {
	self, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	group, err := user.LookupGroupId(self.Gid)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := grant.NewTable([]config.Client{client(self.Username, group.Name, "sign", "*")}, own); err != nil {
		t.Error(err)
	}
	_, err = grant.NewTable([]config.Client{client("no-such-user", "", "sign", "*"), client("", "no-such-group", "sign", "*"), client("", "", "sign", "*")}, own)
	for _, want := range []string{`there is no user "no-such-user"`, `there is no group "no-such-group"`, "needs a user or a group"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}
