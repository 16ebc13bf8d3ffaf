package auditlog

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// errStop ends a reading that nobody goes on with.
var errStop = errors.New("stop")

// mark is a place in a segment: the line that is next there.
type mark struct {
	chain
	first  uint64 // of the segment
	offset int64
}

// Read gives the lines from a number on that are durable when it is called, in
// order, each checked to go on from the one before. It ends with the first fault.
// Whoever goes on where he stopped is not made to wait for what he has read.
func (l *Log) Read(from uint64) iter.Seq2[*Line, error] {
	return func(yield func(*Line, error) bool) {
		end := l.Size()
		if from >= end {
			return
		}
		all, err := openSegments(l.Path)
		if err != nil {
			yield(nil, err)
			return
		}
		defer closeSegments(all)
		if all[0].first > from {
			yield(nil, fmt.Errorf("the segments before line %d are not here", all[0].first))
			return
		}
		for i, s := range all {
			if i+1 < len(all) && all[i+1].first <= from {
				continue
			}
			err := l.readSegment(all, i, from, end, yield)
			if errors.Is(err, errStop) {
				return
			}
			if err != nil {
				yield(nil, fmt.Errorf("%s: %w", filepath.Base(s.path), err))
				return
			}
		}
	}
}

func (l *Log) readSegment(all []openedSegment, i int, from, end uint64, yield func(*Line, error) bool) error {
	s := all[i]
	at, err := l.resume(all, i, from)
	if err != nil {
		return err
	}
	if _, err := s.file.Seek(at.offset, io.SeekStart); err != nil {
		return err
	}
	c, begun := at.chain, at.offset
	err = c.follow(s.file, func(raw []byte, stop int64) error {
		if c.next >= end {
			return errStop
		}
		at.chain, at.offset = c, begun+stop-int64(len(raw)+1)
		if c.next < from {
			return nil
		}
		line, err := decode(slices.Clone(raw))
		if err == nil && !yield(line, nil) {
			err = errStop
		}
		return err
	})
	if errors.Is(err, errTorn) && c.next >= end {
		err = errStop // that line is being written
	}
	l.mu.Lock()
	l.read = at
	l.mu.Unlock()
	return err
}

// resume gives the place to read a segment from: its beginning, or where the last
// reading stopped.
func (l *Log) resume(all []openedSegment, i int, from uint64) (mark, error) {
	l.mu.Lock()
	at := l.read
	l.mu.Unlock()
	if at.first == all[i].first && at.offset > 0 && at.next <= from {
		return at, nil
	}
	c, err := all[i].begin(all, i)
	return mark{chain: c, first: all[i].first}, err
}

// openedSegment is a segment of a log that may be written meanwhile.
type openedSegment struct {
	segment
	file *os.File
}

// openSegments opens all segments of a log. What is written is opened first, so
// that one that is sealed meanwhile is there twice, rather than not at all.
func openSegments(path string) (all []openedSegment, err error) {
	defer func() {
		if err != nil {
			closeSegments(all)
		}
	}()
	var written openedSegment
	for range 100 { // between two renames it is not there for a moment
		written = openedSegment{segment: segment{path: path}}
		if written.file, err = os.Open(path); !errors.Is(err, os.ErrNotExist) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	missing := err
	sealed, err := sealedSegments(path)
	if err != nil {
		return []openedSegment{written}, err
	}
	if len(sealed) == 0 && missing != nil {
		return nil, missing
	}
	for _, s := range sealed {
		f, err := os.Open(s.path)
		if err != nil {
			return append(all, written), err
		}
		if missing == nil && sameFile(f, written.file) {
			f.Close()
			written.segment = s
			return append(all, written), nil
		}
		all = append(all, openedSegment{s, f})
		written.first = s.last + 1
	}
	if missing != nil { // a crash came between the two; a checkpoint tells if there was more
		return all, nil
	}
	return append(all, written), nil
}

func sameFile(a, b *os.File) bool {
	one, err := a.Stat()
	if err != nil {
		return false
	}
	other, err := b.Stat()
	return err == nil && os.SameFile(one, other)
}

func closeSegments(all []openedSegment) {
	for _, s := range all {
		s.file.Close()
	}
}

// begin gives the chain at the beginning of the i-th segment: what its first line
// goes on from is the last line of the one before, or what it says itself where
// that is not here.
func (s openedSegment) begin(all []openedSegment, i int) (chain, error) {
	c := chain{next: s.first}
	switch {
	case s.first == 0:
		return c, nil
	case i > 0:
		last, err := lastLine(all[i-1].path)
		if err != nil {
			return c, err
		}
		c.prev = last.Hash()
		return c, nil
	}
	first, err := firstLine(s.path)
	if err != nil {
		return c, err
	}
	c.prev = first.Prev
	return c, nil
}
