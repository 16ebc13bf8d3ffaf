package pebblestore

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// refusedPause is how long a refused attempt to make a file takes. Pebble
// repeats a failed flush at once and for ever; the pause keeps that from
// costing a processor.
const refusedPause = time.Second

var errRefused = errors.New("pebblestore: not written: the store is read-only after an earlier failure")

// gate is the file system below Pebble. The first write or sync that fails
// closes it for writing: whatever Pebble tries after that is refused before it
// reaches the disk. So a failed sync is never repeated (a second one can
// succeed without the data, which the kernel has dropped), and what is on disk
// stays what it was at the failure.
//
// Pebble answers most failures with an error, but panics when it cannot change
// to a new log or manifest, on its own goroutines too, and where a deferred
// Unlock makes the panic the end of the process. A call that would lead there
// does not return: see park.
type gate struct {
	vfs.FS
	onFailure func(cause error) // called once

	failed chan struct{} // closed at the first failure

	mu    sync.Mutex
	armed bool // the store is open; before, Open itself reports the failure
	cause error
}

func newGate(fs vfs.FS, onFailure func(error)) *gate {
	return &gate{FS: fs, onFailure: onFailure, failed: make(chan struct{})}
}

// arm is called when the store is open. It fails if a write has failed already.
func (g *gate) arm() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.armed = g.cause == nil
	return g.cause
}

// fail closes the gate. Only the first cause counts.
func (g *gate) fail(cause error) {
	g.mu.Lock()
	first, armed := g.cause == nil, g.armed
	if first {
		g.cause = cause
		close(g.failed)
	}
	g.mu.Unlock()
	if first && armed {
		g.onFailure(cause)
	}
}

// failure is the cause, or nil while all is well.
func (g *gate) failure() error {
	select {
	case <-g.failed:
		return g.cause
	default:
		return nil
	}
}

// do runs op, which writes to name, unless the gate is closed.
func (g *gate) do(what, name string, op func() error) error {
	if g.failure() != nil {
		return errRefused
	}
	err := op()
	if err != nil {
		g.fail(fmt.Errorf("%s %s: %w", what, filepath.Base(name), err))
	}
	return err
}

// park never returns once a write has failed while the store was open. It holds
// whoever changes logs (the committer) or manifests (a flush or compaction)
// where an error would be a panic. Pebble calls it without the lock that reads
// need, nothing waits for the committer any more, and Pebble is not closed.
func (g *gate) park() {
	g.mu.Lock()
	held := g.armed && g.cause != nil
	g.mu.Unlock()
	if held {
		select {}
	}
}

func isLog(name string) bool { return filepath.Ext(name) == ".log" }

// makes runs op, which opens a file for writing.
func (g *gate) makes(what, name string, op func() (vfs.File, error)) (vfs.File, error) {
	var file vfs.File
	err := g.do(what, name, func() (err error) {
		file, err = op()
		return err
	})
	if err == nil {
		return &gatedFile{File: file, gate: g, name: name}, nil
	}
	if isLog(name) {
		g.park()
	}
	if errors.Is(err, errRefused) {
		time.Sleep(refusedPause)
	}
	return nil, err
}

// Create implements vfs.FS.
func (g *gate) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.makes("create", name, func() (vfs.File, error) { return g.FS.Create(name, c) })
}

// ReuseForWrite implements vfs.FS.
func (g *gate) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.makes("reuse", name, func() (vfs.File, error) { return g.FS.ReuseForWrite(old, name, c) })
}

// OpenReadWrite implements vfs.FS.
func (g *gate) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return g.makes("open", name, func() (vfs.File, error) { return g.FS.OpenReadWrite(name, c, opts...) })
}

// OpenDir implements vfs.FS; a directory is opened to be synced.
func (g *gate) OpenDir(name string) (vfs.File, error) {
	dir, err := g.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &gatedDir{gatedFile{File: dir, gate: g, name: name}}, nil
}

// Link implements vfs.FS.
func (g *gate) Link(old, name string) error {
	return g.do("link", name, func() error { return g.FS.Link(old, name) })
}

// Rename implements vfs.FS.
func (g *gate) Rename(old, name string) error {
	return g.do("rename", name, func() error { return g.FS.Rename(old, name) })
}

// Remove implements vfs.FS. A file that stays costs space and nothing else.
func (g *gate) Remove(name string) error {
	if g.failure() != nil {
		return errRefused
	}
	return g.FS.Remove(name)
}

// RemoveAll implements vfs.FS, as Remove.
func (g *gate) RemoveAll(name string) error {
	if g.failure() != nil {
		return errRefused
	}
	return g.FS.RemoveAll(name)
}

// Unwrap implements vfs.FS.
func (g *gate) Unwrap() vfs.FS { return g.FS }

// gatedFile is a file that can be written or synced.
type gatedFile struct {
	vfs.File
	gate *gate
	name string
}

func (f *gatedFile) Write(p []byte) (n int, err error) {
	err = f.gate.do("write", f.name, func() (err error) { n, err = f.File.Write(p); return err })
	return n, err
}

func (f *gatedFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.gate.do("write", f.name, func() (err error) { n, err = f.File.WriteAt(p, off); return err })
	return n, err
}

func (f *gatedFile) Sync() error { return f.gate.do("sync", f.name, f.File.Sync) }

func (f *gatedFile) SyncData() error { return f.gate.do("sync", f.name, f.File.SyncData) }

func (f *gatedFile) SyncTo(length int64) (full bool, err error) {
	err = f.gate.do("sync", f.name, func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, err
}

// Close implements io.Closer. Pebble closes a log only when it changes to the
// next one or is closed itself.
func (f *gatedFile) Close() error {
	err := f.File.Close()
	if err != nil {
		f.gate.fail(fmt.Errorf("close %s: %w", filepath.Base(f.name), err))
	}
	if isLog(f.name) {
		f.gate.park()
	}
	return err
}

// gatedDir is a directory. Pebble syncs it to make a new log or manifest the
// current one, and has no answer to a failure but a panic.
type gatedDir struct{ gatedFile }

func (d *gatedDir) Sync() error {
	err := d.gatedFile.Sync()
	if err != nil {
		d.gate.park()
	}
	return err
}
