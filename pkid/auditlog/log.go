// Package auditlog is pkid's own log of requests: a line of JSON before each act
// and one before its answer leaves, as Vault writes them, with secrets under an
// HMAC. It knows no path of the API and does not decide what is secret: the
// caller names what may be read.
//
// Start at [Log.Append]; README.md tells what the log promises.
package auditlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Config is what a Log is made of.
type Config struct {
	Path string
	Key  []byte // of the HMAC, as Key gives it
	Now  func() time.Time
}

// Log is an open log. It is safe for concurrent use.
type Log struct {
	Config

	mu     sync.Mutex // who holds it may write
	file   *os.File
	torn   bool   // the last line is not whole, and could not be taken back
	next   *round // which lines that are written now belong to
	closed bool

	syncing sync.Mutex    // who holds it may sync, and replace the file when mu is held too
	wake    chan struct{} // has room for one
	ended   chan struct{}
}

// round is the lines that one sync makes durable.
type round struct {
	done chan struct{}
	err  error // valid when done is closed
}

// ErrClosed says that the log was closed.
var ErrClosed = errors.New("the audit log is closed")

// Open opens the log, or makes it.
func Open(cfg Config) (*Log, error) {
	file, err := open(cfg.Path)
	if err != nil {
		return nil, err
	}
	l := &Log{Config: cfg, file: file, next: newRound(), wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go l.syncs()
	return l, nil
}

func newRound() *round { return &round{done: make(chan struct{})} }

// Line is a line that was written.
type Line struct {
	log   *Log
	round *round
}

// Append writes a line. From then on it outlives pkid; what outlives the machine
// is told by Wait. A line that could not be written whole is taken back.
func (l *Log) Append(e *Entry) (Line, error) {
	e.Time = l.Now().UTC()
	line, err := json.Marshal(e) // which escapes line ends and whatever is no UTF-8
	if err != nil {
		return Line{}, fmt.Errorf("the audit log: %w", err)
	}
	line = append(line, '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return Line{}, ErrClosed
	}
	if l.torn {
		line = append([]byte{'\n'}, line...)
	}
	if n, err := l.file.Write(line); err != nil {
		l.torn = !l.takeBack(n)
		return Line{}, fmt.Errorf("the audit log cannot be written: %w", err)
	}
	l.torn = false
	return Line{log: l, round: l.next}, nil
}

// takeBack cuts off the n octets that were written last. The size is asked for
// anew, since a program that rotates by copying may have cut the file too. A
// file that can only grow (chattr +a) keeps them.
func (l *Log) takeBack(n int) bool {
	if n == 0 {
		return !l.torn
	}
	info, err := l.file.Stat()
	return err == nil && l.file.Truncate(max(0, info.Size()-int64(n))) == nil
}

// Wait waits until the line is on the disk. Where the sync failed, whether it is
// there is not known. Nothing is synced before somebody waits: one sync does for
// both lines of a request.
func (w Line) Wait(ctx context.Context) error {
	if w.round == nil {
		return nil
	}
	w.log.want(w.round)
	select {
	case <-w.round.done:
		return w.round.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// want has a round synced that is not yet.
func (l *Log) want(r *round) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || r != l.next {
		return // it is, or Close does it
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// syncs makes durable what was written since the last sync, one sync for all
// who wait.
func (l *Log) syncs() {
	defer close(l.ended)
	for range l.wake {
		runtime.Gosched() // who can run already writes first, and shares the sync
		l.syncing.Lock()
		l.mu.Lock()
		current, file := l.next, l.file
		l.next = newRound()
		l.mu.Unlock()
		current.end(file)
		l.syncing.Unlock()
	}
}

func (r *round) end(file *os.File) {
	if err := unix.Fdatasync(int(file.Fd())); err != nil {
		r.err = fmt.Errorf("the audit log cannot be synced: %w", err)
	}
	close(r.done)
}

// Reopen goes on in the file that has the log's name now, which is how the log is
// rotated: rename it, then have it opened anew. Where that fails the old file is
// written on.
func (l *Log) Reopen() error {
	file, err := open(l.Path)
	if err != nil {
		return err
	}
	l.syncing.Lock()
	defer l.syncing.Unlock()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return errors.Join(ErrClosed, file.Close())
	}
	old, last := l.file, l.next
	l.file, l.next, l.torn = file, newRound(), false
	l.mu.Unlock()
	last.end(old) // its lines are in the old file
	return old.Close()
}

// Close makes durable what was written, and ends.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	close(l.wake)
	l.mu.Unlock()
	<-l.ended
	l.next.end(l.file)
	return errors.Join(l.next.err, l.file.Close())
}
