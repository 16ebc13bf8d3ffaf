package auditlog

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// errStop ends a reading that nobody goes on with.
var errStop = errors.New("stop")

// Read gives the lines from a number on that are durable when it is called, in
// order, each checked to go on from the one before in its segment. It ends with
// the first fault.
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
		var c chain
		for i, s := range all {
			if i+1 < len(all) && all[i+1].first <= from {
				continue
			}
			if c.next != s.first || c.next == 0 && s.first > 0 {
				if c, err = s.begin(all, i); err != nil {
					yield(nil, err)
					return
				}
			}
			err := c.follow(s.file, func(raw []byte, _ int64) error {
				if c.next >= end {
					return errStop
				}
				if c.next < from {
					return nil
				}
				line, err := decode(slices.Clone(raw))
				if err == nil && !yield(line, nil) {
					err = errStop
				}
				return err
			})
			if errors.Is(err, errStop) || errors.Is(err, errTorn) && c.next >= end {
				return
			}
			if err != nil {
				yield(nil, fmt.Errorf("%s: %w", filepath.Base(s.path), err))
				return
			}
		}
	}
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
	if err != nil {
		return nil, err
	}
	sealed, err := sealedSegments(path)
	if err != nil {
		return []openedSegment{written}, err
	}
	for _, s := range sealed {
		f, err := os.Open(s.path)
		if err != nil {
			return append(all, written), err
		}
		if sameFile(f, written.file) {
			f.Close()
			written.segment = s
			return append(all, written), nil
		}
		all = append(all, openedSegment{s, f})
		written.first = s.last + 1
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
