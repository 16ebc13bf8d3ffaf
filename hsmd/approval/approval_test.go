package approval_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/approval"
)

var day = time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)

// desk is a table with two people who approve.
type desk struct {
	*approval.Table
	dir        string
	now        time.Time
	rule       *approval.Rule
	alice, bob *person
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{dir: filepath.Join(t.TempDir(), "approvals"), now: day, alice: newPerson(t, "alice", "ed25519"), bob: newPerson(t, "bob", "ecdsa")}
	d.rule = rule(t, 2, d.alice, d.bob)
	d.open(t)
	return d
}

func (d *desk) open(t *testing.T) {
	t.Helper()
	var err error
	if d.Table, err = approval.Open(d.dir, func() time.Time { return d.now }); err != nil {
		t.Fatal(err)
	}
}

func rule(t *testing.T, quorum int, people ...*person) *approval.Rule {
	t.Helper()
	r := approval.Rule{Quorum: quorum, Wait: time.Hour}
	for _, p := range people {
		a, err := approval.NewApprover(p.name, p.keys())
		if err != nil {
			t.Fatal(err)
		}
		r.Approvers = append(r.Approvers, a)
	}
	made, err := approval.NewRule(r)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func request(message string) approval.Request {
	spki := [32]byte{1, 2, 3}
	return approval.Request{UID: 7, Key: "root", SPKI: spki[:], Scheme: "ECDSA-P256-SHA256", Kind: "certificate", Message: []byte(message), Words: []string{"a CA certificate"}}
}

func (d *desk) ask(t *testing.T, r approval.Request) *approval.Status {
	t.Helper()
	s, err := d.Ask(d.rule, r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (d *desk) approve(id, signature string) error {
	_, _, err := d.Approve(id, signature, func(*approval.Request) *approval.Rule { return d.rule }, func(string, *approval.Status) error { return nil })
	return err
}

func TestQuorum(t *testing.T) {
	d := newDesk(t)
	s := d.ask(t, request("certificate 1"))
	if s.Approved() {
		t.Fatal("approved by nobody")
	}
	if err := d.approve(s.ID, d.alice.sign(t, s.Statement())); err != nil {
		t.Fatal(err)
	}
	if err := d.approve(s.ID, d.alice.sign(t, s.Statement())); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("one person twice: %v", err)
	}
	d.open(t) // hsmd starts again
	if again := d.ask(t, request("certificate 1")); again.ID != s.ID || again.Approved() || len(again.Given) != 1 {
		t.Errorf("after a restart: %+v", again)
	}
	if err := d.approve(s.ID, d.bob.sign(t, s.Statement())); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a signature may be repeated
		if !d.ask(t, request("certificate 1")).Approved() {
			t.Error("two people approved, and it is not")
		}
	}
	for name, other := range map[string]func(r *approval.Request){
		"other bytes": func(r *approval.Request) { r.Message = []byte("certificate 2") },
		"other key":   func(r *approval.Request) { r.SPKI = make([]byte, 32) },
		"scheme":      func(r *approval.Request) { r.Scheme = "ECDSA-P256-SHA384" },
		"kind":        func(r *approval.Request) { r.Kind = "crl" },
		"user":        func(r *approval.Request) { r.UID = 8 },
	} {
		r := request("certificate 1")
		other(&r)
		if o := d.ask(t, r); o.Approved() || o.ID == s.ID {
			t.Errorf("%s: approved with it", name)
		} else if err := d.approve(o.ID, d.alice.sign(t, s.Statement())); name != "user" && err == nil {
			t.Errorf("%s: the approval of another was taken", name)
		}
	}
	d.now = d.now.Add(time.Hour + time.Second)
	if late := d.ask(t, request("certificate 1")); late.Approved() {
		t.Error("approved after its end")
	} else if err := d.approve(late.ID, d.alice.sign(t, s.Statement())); err == nil {
		t.Error("an approval with an old end was taken")
	}
}

// TestRuleChanges: what the configuration says now is what counts.
func TestRuleChanges(t *testing.T) {
	d := newDesk(t)
	s := d.ask(t, request("x"))
	for _, p := range []*person{d.alice, d.bob} {
		if err := d.approve(s.ID, p.sign(t, s.Statement())); err != nil {
			t.Fatal(err)
		}
	}
	carol := newPerson(t, "carol", "rsa")
	d.rule = rule(t, 2, d.alice, carol)
	if now := d.ask(t, request("x")); now.Approved() || len(now.Given) != 1 {
		t.Errorf("bob approves no more, and counts: %v", now.Given)
	}
	d.rule = rule(t, 3, d.alice, d.bob, carol)
	if d.ask(t, request("x")).Approved() {
		t.Error("three are asked for, two are enough")
	}
	if err := d.approve(s.ID, carol.sign(t, s.Statement())); err != nil {
		t.Fatal(err)
	}
	if !d.ask(t, request("x")).Approved() {
		t.Error("three approved")
	}
}

func TestBounds(t *testing.T) {
	d := newDesk(t)
	long := request(strings.Repeat("x", approval.MaxMessage+1))
	if _, err := d.Ask(d.rule, long); err == nil {
		t.Error("a message without bounds waits")
	}
	var err error
	n := 0
	for ; err == nil && n < 10_000; n++ {
		_, err = d.Ask(d.rule, request(strings.Repeat("x", n)))
	}
	if !errors.Is(err, approval.ErrFull) {
		t.Errorf("%d wait: %v", n, err)
	}
	other := request("of another user")
	other.UID = 8
	d.ask(t, other)
	d.now = d.now.Add(2 * time.Hour)
	d.ask(t, request("after all ended"))
	if left, _ := os.ReadDir(d.dir); len(left) != 1 {
		t.Errorf("%d files are left", len(left))
	}
	if err := d.approve("../../x", "x"); !errors.Is(err, approval.ErrUnknown) {
		t.Errorf("an id that is none: %v", err)
	}
}

// TestFiles: what lies in the folder is believed only as far as it is whole.
func TestFiles(t *testing.T) {
	d := newDesk(t)
	s := d.ask(t, request("x"))
	name := filepath.Join(d.dir, s.ID+".json")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name+".new", text[:10], 0o600); err != nil {
		t.Fatal(err)
	}
	d.open(t)
	if err := os.WriteFile(name, []byte(strings.Replace(string(text), `"uid":7`, `"uid":8`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := approval.Open(d.dir, time.Now); err == nil || !strings.Contains(err.Error(), s.ID) {
		t.Errorf("a file for another user: %v", err)
	}
}

func TestRecordComesFirst(t *testing.T) {
	d := newDesk(t)
	s := d.ask(t, request("x"))
	full := errors.New("the log is full")
	_, _, err := d.Approve(s.ID, d.alice.sign(t, s.Statement()), func(*approval.Request) *approval.Rule { return d.rule }, func(name string, after *approval.Status) error {
		if name != "alice" || len(after.Given) != 1 {
			t.Errorf("recorded: %s, %v", name, after.Given)
		}
		return full
	})
	if !errors.Is(err, full) || len(d.ask(t, request("x")).Given) != 0 {
		t.Errorf("counts without a record: %v", err)
	}
}
