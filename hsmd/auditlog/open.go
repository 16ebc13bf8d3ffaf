package auditlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// makeDir makes the folder of the log, with mode 0700.
func makeDir(path string) error { return os.MkdirAll(filepath.Dir(path), 0o700) }

// open finds the end of the log.
func (l *Log) open() error {
	sealed, err := sealedSegments(l.Path)
	if err != nil {
		return err
	}
	w := &l.w
	if len(sealed) > 0 {
		if w.first, w.prev, err = after(sealed[len(sealed)-1]); err != nil {
			return err
		}
		w.next = w.first
	}
	if w.file, err = openSegment(l.Path); err != nil {
		return err
	}
	if w.tree, err = openTree(beside(l.Path, ".tree")); err != nil {
		w.file.Close()
		return err
	}
	if err := l.recover(sealed); err != nil {
		return errors.Join(err, w.close())
	}
	return nil
}

// after says what the segment goes on with that follows a sealed one.
func after(s segment) (next uint64, prev Hash, err error) {
	last, err := lastLine(s.path)
	if err != nil {
		return 0, prev, fmt.Errorf("%s: its last line: %w", filepath.Base(s.path), err)
	}
	if last.Kind != Seal || last.Seq != s.last {
		return 0, prev, fmt.Errorf("%s was changed: it does not end with the seal of line %d", filepath.Base(s.path), s.last)
	}
	return last.Seq + 1, last.Hash(), nil
}

// openSegment opens the file that is written, which nobody but hsmd may read, and
// only one hsmd may write.
func openSegment(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is no regular file")
	}
	if err == nil && info.Mode().Perm() != 0o600 {
		err = f.Chmod(0o600)
	}
	if err == nil {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
			err = errors.New("another hsmd writes to it")
		}
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// recover reads the segment, cuts off what a crash left torn, and makes again
// what follows from the lines.
func (l *Log) recover(sealed []segment) error {
	w := &l.w
	held, err := w.tree.holds()
	if err != nil {
		return err
	}
	if held < w.first {
		if err := w.tree.rebuild(sealed); err != nil {
			return err
		}
	} else if err := w.tree.begin(w.first); err != nil {
		return err
	}
	var last Line
	c := chain{w.next, w.prev}
	err = c.follow(w.file, func(raw []byte, end int64) error {
		if bytes.IndexByte(raw, 0) >= 0 {
			return errTorn
		}
		w.size, w.hashes = end, append(w.hashes, leafHash(raw))
		last.Raw = append(last.Raw[:0], raw...)
		return nil
	})
	info, statErr := w.file.Stat()
	if statErr != nil {
		return statErr
	}
	w.next, w.prev = c.next, c.prev
	if err != nil && (info.Size()-w.size > maxBatch || !errors.Is(err, errTorn) && !w.holed()) {
		return err
	}
	w.tree.add(w.hashes)
	w.hashes = w.hashes[:0]
	if err := l.continues(); err != nil {
		return err
	}
	if w.cut = info.Size() - w.size; w.cut > 0 {
		l.Log.Warn("the end of the log of signatures was torn by a crash, and is cut off; nothing of it was given out", "audit_log", l.Path, "octets", w.cut, "lines", w.next)
		if err := w.file.Truncate(w.size); err != nil {
			return err
		}
	}
	if err := w.file.Sync(); err != nil {
		return err
	}
	w.space = space{file: w.file, reserve: l.Reserve}
	w.space.lost(w.size)
	l.durable, l.edge = w.next, w.tree.edge
	if len(last.Raw) == 0 {
		return nil
	}
	end, err := decode(last.Raw)
	if err != nil {
		return fmt.Errorf("line %d: %w", w.next-1, err)
	}
	if end.Kind == Seal {
		return l.roll() // a crash came between the seal and the next segment
	}
	return nil
}

// holed reports whether what follows the good lines has octets that were never
// written: a file may grow before its contents are on disk. No line has a NUL.
func (w *writer) holed() bool {
	rest, err := io.ReadAll(io.NewSectionReader(w.file, w.size, maxBatch))
	if err != nil {
		return false
	}
	line, _, _ := bytes.Cut(rest, []byte{'\n'})
	return bytes.IndexByte(line, 0) >= 0
}

// rebuild makes the hashes of all sealed segments again.
func (t *tree) rebuild(sealed []segment) error {
	t.size, t.written = 0, 0
	if len(sealed) > 0 && sealed[0].first != 0 {
		return fmt.Errorf("the tree's hashes are lost (%s), and the segments before line %d, which they follow from, are not here", filepath.Base(t.file.Name()), sealed[0].first)
	}
	var c chain
	for _, s := range sealed {
		var leaves []Hash
		f, err := os.Open(s.path)
		if err != nil {
			return err
		}
		err = c.follow(f, func(raw []byte, _ int64) error {
			leaves = append(leaves, leafHash(raw))
			return nil
		})
		f.Close()
		t.add(leaves)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(s.path), err)
		}
	}
	if err := t.sync(); err != nil {
		return err
	}
	return t.file.Truncate(t.written)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
