package auditlog_test

import (
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hsmpki/hsmpki/hsmd/auditlog"
)

// limitFiles has writes beyond a size fail, for this whole process, until it is
// called with 0.
func limitFiles(t *testing.T, size int) {
	t.Helper()
	signal.Ignore(unix.SIGXFSZ)
	limit := unix.Rlimit{Cur: uint64(size), Max: unix.RLIM_INFINITY}
	if size == 0 {
		limit.Cur = unix.RLIM_INFINITY
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
}

// TestWriteThatFails: what cannot be written is refused and leaves nothing behind,
// and so is what may only stand after it.
func TestWriteThatFails(t *testing.T) {
	l := start(t)
	l.certificate("01")
	if err := l.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	limitFiles(t, len(l.read())+50)
	defer limitFiles(t, 0)
	lost, err := l.Append(&auditlog.Entry{Kind: auditlog.Test, Context: "lost"}, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := lost.Wait(t.Context()); err == nil {
		t.Fatal("a line beyond the limit was written")
	}
	limitFiles(t, 0)
	after, err := l.Append(&auditlog.Entry{Kind: auditlog.CRL, Context: "after it"}, true, lost)
	if err == nil {
		err = after.Wait(t.Context())
	}
	if err == nil {
		t.Error("a line was written that may only stand after one that was not")
	}
	if err := l.Outcome(lost, &auditlog.Entry{Kind: auditlog.Failed}); err != nil {
		t.Error(err)
	}
	l.certificate("02")
	l.close()
	if r := l.verify(); r.Next != 5 || r.Kinds[auditlog.Certificate] != 2 || r.Kinds[auditlog.Signed] != 2 || len(r.Kinds) != 3 {
		t.Errorf("%+v", r)
	}
}
