package auditlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// rotate seals the segment and begins the next, where there is space for the next
// and what it keeps back; else this one goes on until there is.
func (l *Log) rotate() {
	if l.w.tree.sync() != nil {
		return
	}
	next, err := l.prepare()
	if err != nil {
		if !errors.Is(err, ErrFull) {
			l.fail(err)
		}
		return
	}
	next.file.Close()
	body := &Pending{body: fmt.Appendf(nil, `"time":%q,"kind":%q}`, l.Now().UTC().Format("2006-01-02T15:04:05.999999999Z07:00"), Seal), vital: true}
	before := l.w.place()
	err = l.w.add(body)
	if err == nil {
		if err = l.w.flush(); err != nil {
			_ = l.undo(before, err)
			return
		}
		err = l.sync()
	}
	if err == nil {
		err = l.roll()
	}
	if err != nil {
		l.fail(err)
	}
}

const nextSuffix = ".next" // a segment that is being prepared

// prepare makes the file of the next segment, with its space.
func (l *Log) prepare() (space, error) {
	path := l.Path + nextSuffix
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return space{}, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		if unix.ENOSPC == rootCause(err) || unix.EDQUOT == rootCause(err) {
			err = ErrFull
		}
		return space{}, err
	}
	s := space{file: f, reserve: l.Reserve}
	if err := s.room(0, 0, false); err != nil {
		return space{}, errors.Join(err, f.Close(), os.Remove(path))
	}
	return s, nil
}

// roll puts a segment that ends with its seal aside, and the next in its place. A
// crash anywhere in it leaves the seal, and the next start rolls on from there.
func (l *Log) roll() error {
	w := &l.w
	last := w.next - 1
	if err := w.tree.sync(); err != nil {
		return err
	}
	if err := w.file.Truncate(w.size); err != nil { // gives back the space behind it
		return err
	}
	sealed := sealedName(l.Path, w.first, last)
	if _, err := os.Lstat(sealed); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already, or cannot be looked for: %v", filepath.Base(sealed), err)
	}
	if err := os.Rename(l.Path, sealed); err != nil {
		return err
	}
	// The second renaming without the first would put the next over this one.
	if err := syncDir(filepath.Dir(l.Path)); err != nil {
		return err
	}
	if err := w.file.Chmod(0o400); err != nil {
		return err
	}
	if err := os.Rename(l.Path+nextSuffix, l.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	next, err := openSegment(l.Path) // syncs the folder
	if err != nil {
		return err
	}
	if err := w.file.Close(); err != nil {
		next.Close()
		return err
	}
	w.file, w.first, w.size, w.dirty = next, w.next, 0, false
	w.space = space{file: next, reserve: l.Reserve}
	w.space.lost(0)
	l.Log.Info("a segment of the log of signatures is sealed", "segment", sealed, "last", last)
	return nil
}
