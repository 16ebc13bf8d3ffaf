package auditlog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// maxBatch bounds what is written at once, and so what a crash can leave torn.
const maxBatch = 4 << 20

// Lines that nobody waits for are written together with the next that somebody
// waits for, or when they have lain for settleAfter, or are many.
const (
	settleAfter = 100 * time.Millisecond
	many        = 1024
)

// writer is the segment that is written. One goroutine has it.
type writer struct {
	file  *os.File
	space space
	tree  *tree
	cut   int64 // octets that were cut off at the start

	first uint64 // of the segment's lines
	size  int64  // of the segment
	next  uint64 // line to be written
	prev  Hash   // of the line before that
	dirty bool   // something is written and not synced

	pending []byte // lines of the batch
	hashes  []Hash // of the same
}

// write is the life of the writer: all lines that were handed on when somebody
// begins to wait are one batch, so that any number of them share a sync.
func (l *Log) write() {
	defer close(l.ended)
	defer l.idle.Stop()
	for {
		settled := false
		select {
		case <-l.wake:
			runtime.Gosched() // who can run already asks first, and shares the sync
		case <-l.idle.C:
			settled = true
		}
		for {
			batch, closing := l.take(settled)
			if len(batch) > 0 {
				l.commit(batch)
				continue
			}
			if settled || closing {
				l.settle()
			}
			if closing {
				return
			}
			break
		}
		if l.w.dirty {
			l.idle.Reset(settleAfter)
		}
	}
}

// take takes the next batch from the queue, where there is one that is due.
func (l *Log) take(settled bool) (batch []*Pending, closing bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !settled && !l.closing && !l.wanted && len(l.queue) < many {
		return nil, false
	}
	size := 0
	for len(batch) < len(l.queue) && size < maxBatch/2 {
		p := l.queue[len(batch)]
		p.taken = true
		size += len(p.body)
		batch = append(batch, p)
	}
	l.queue = l.queue[len(batch):]
	if len(l.queue) == 0 {
		l.queue, l.wanted = nil, false
	}
	return batch, l.closing
}

// commit gives the lines of a batch their places, writes them with one call, and
// syncs them but where all are outcomes.
func (l *Log) commit(batch []*Pending) {
	before, waited, broken := l.w.place(), false, l.isBroken()
	for _, p := range batch {
		if p.err = broken; p.err == nil {
			p.err = l.w.add(p)
		}
		waited = waited || p.done != nil && p.err == nil
	}
	err := l.w.flush()
	if err != nil {
		err = l.undo(before, err)
	}
	l.noteFull(batch, err)
	if err == nil && waited && l.w.dirty {
		err = l.sync()
	}
	for _, p := range batch {
		if p.err == nil {
			p.err = err
		}
		if p.done != nil {
			close(p.done)
		}
	}
	if err == nil && l.w.size >= l.SegmentSize {
		l.rotate()
	}
}

// noteFull says so when ordinary lines begin to find no room, and when they do
// again.
func (l *Log) noteFull(batch []*Pending, err error) {
	full := errors.Is(err, ErrFull)
	written := false
	for _, p := range batch {
		full = full || errors.Is(p.err, ErrFull)
		written = written || !p.vital && p.body != nil && p.err == nil && err == nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case full && !l.full:
		l.full = true
		l.Log.Error("the disk of the log of signatures is full: nothing is signed but CRLs", "audit_log", l.Path)
	case written && !full && l.full:
		l.full = false
		l.Log.Info("the disk of the log of signatures has room again", "audit_log", l.Path)
	}
}

// add gives a line its place, or says that there is none.
func (w *writer) add(p *Pending) error {
	if p.body == nil {
		return nil
	}
	if p.of != nil && p.of.err != nil {
		return p.of.err
	}
	for _, before := range p.after {
		if before.err != nil {
			return before.err
		}
	}
	start := len(w.pending)
	line := head(w.pending, w.next, w.prev)
	if p.of != nil {
		line = fmt.Appendf(line, `"of":%d,`, p.of.seq)
	}
	line = append(line, p.body...)
	if err := w.space.room(w.size+int64(start), int64(len(line)+1-start), p.vital); err != nil {
		return err
	}
	w.prev = sha256.Sum256(line[start:])
	w.hashes = append(w.hashes, leafHash(line[start:]))
	w.pending = append(line, '\n')
	p.seq = w.next
	w.next++
	return nil
}

// flush writes the lines that were added.
func (w *writer) flush() error {
	if len(w.pending) == 0 {
		return nil
	}
	if _, err := w.file.WriteAt(w.pending, w.size); err != nil {
		return err
	}
	w.tree.add(w.hashes)
	w.size += int64(len(w.pending))
	w.pending, w.hashes, w.dirty = w.pending[:0], w.hashes[:0], true
	if cap(w.pending) > maxBatch {
		w.pending = nil
	}
	return nil
}

// place is what undo goes back to.
type place struct {
	next uint64
	prev Hash
}

func (w *writer) place() place { return place{w.next, w.prev} }

// undo takes back a batch that could not be written: nobody has been told that it
// was. Where that fails too, the log ends.
func (l *Log) undo(to place, cause error) error {
	w := &l.w
	w.next, w.prev, w.pending, w.hashes = to.next, to.prev, w.pending[:0], w.hashes[:0]
	if err := w.file.Truncate(w.size); err != nil {
		l.fail(err)
	}
	w.space.lost(w.size)
	if unix.ENOSPC == rootCause(cause) || unix.EDQUOT == rootCause(cause) {
		return ErrFull
	}
	return fmt.Errorf("writing the log of signatures: %w", cause)
}

// sync makes durable what is written. After a sync that failed nobody knows what
// is on disk, and another would succeed without it being there: the log ends.
func (l *Log) sync() error {
	if err := unix.Fdatasync(int(l.w.file.Fd())); err != nil {
		l.fail(fmt.Errorf("syncing: %w", err))
		return l.isBroken()
	}
	l.w.dirty = false
	l.mu.Lock()
	l.durable, l.edge = l.w.next, l.w.tree.edge
	l.mu.Unlock()
	return nil
}

// settle syncs what nobody waits for.
func (l *Log) settle() {
	if l.w.dirty && l.isBroken() == nil {
		_ = l.sync() // says so itself
	}
}

func (w *writer) close() error {
	err := w.file.Close()
	if treeErr := w.tree.close(); err == nil {
		err = treeErr
	}
	return err
}
