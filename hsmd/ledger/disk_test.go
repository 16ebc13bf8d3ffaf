package ledger_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hsmpki/hsmpki/hsmd/ledger"
)

// disk has as much free space as a test says.
type disk struct {
	vfs.FS
	free atomic.Uint64
}

func (d *disk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.free.Load()}, nil
}

// Where the disk is nearly full, what was issued can be revoked yet.
func TestNearlyFullDisk(t *testing.T) {
	d := &disk{FS: vfs.NewMem()}
	d.free.Store(100 << 20)
	m := &memory{t: t, ca: issuer(t, "Example Root"), cfg: ledger.Config{Dir: "ledger", FS: d, Log: start(t).cfg.Log}}
	m.open()
	m.mustAll(m.issue(1, soon, "one"))
	d.free.Store(63 << 20)
	if err := m.issue(2, soon, "two"); err == nil || !strings.Contains(err.Error(), "63 MiB are free") {
		t.Errorf("issued: %v", err)
	}
	m.mustAll(m.list(1, 0, serial(1)))
	d.free.Store(5 << 20)
	if err := m.list(2, 0, serial(1)); err == nil || !strings.Contains(err.Error(), "5 MiB are free") {
		t.Errorf("listed: %v", err)
	}
	refused(t, m.good(1), ledger.RuleRevoked, "")
}

// A disk that fails ends all claims, and not hsmd.
func TestFailingDisk(t *testing.T) {
	var broken atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return errorfs.ErrInjected
		}
		return nil
	}))
	m := &memory{t: t, ca: issuer(t, "Example Root"), cfg: ledger.Config{Dir: "ledger", FS: fs, Log: start(t).cfg.Log}}
	m.open()
	m.mustAll(m.issue(1, soon, "one"))
	broken.Store(true)
	if m.issue(2, soon, "two") == nil {
		t.Error("claimed on a disk that fails")
	}
	broken.Store(false)
	if err := m.issue(3, soon, "three"); err == nil || !strings.Contains(err.Error(), "read-only after a failure") {
		t.Errorf("after a failure: %v", err)
	}
	m.mustAll(m.good(1))
}
