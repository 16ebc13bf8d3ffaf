package auditlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Config is what a Log is made of. All but the witnesses and sizes is required.
type Config struct {
	// Path is the file that is written. Sealed segments and the tree's hashes lie
	// beside it.
	Path string
	// Checkpoints is the file of the last checkpoint, which is better not beside
	// the log, and Seed the 32 octets that the key is made of which signs it.
	Checkpoints string
	Seed        []byte
	// Witnesses are asked to sign each checkpoint too.
	Witnesses []*Witness

	Version string // for the line that says of each start
	Log     *slog.Logger
	Now     func() time.Time

	// SegmentSize is the size from which on a segment is sealed; 0: 64 MiB.
	// Reserve is how much space on the disk is kept back for what may not wait
	// for an operator; 0: 16 MiB.
	SegmentSize int64
	Reserve     int64
}

// Log is the log of one hsmd, open for writing. Its methods may be called by many
// goroutines.
type Log struct {
	Config

	mu      sync.Mutex
	queue   []*Pending
	wanted  bool        // somebody waits for a line of the queue
	idle    *time.Timer // ends when the queue has lain long enough
	closing bool
	once    sync.Once
	closed  error         // what Close came to
	wake    chan struct{} // has room for one
	ended   chan struct{} // closed when the writer has

	// durable is how far the log has been synced, edge the tree's then, broken why
	// it goes no further, full that it has room for nothing but what is vital, and
	// read where the last reading stopped; all under mu.
	durable uint64
	edge    [64]tlog.Hash
	broken  error
	full    bool
	read    mark

	w writer
	refusals
	checkpoints
}

// ErrFull says that the disk has no room for another line, or none but what is
// kept back.
var ErrFull = errors.New("the disk of the log of signatures is full")

// ErrClosed says that the log was closed.
var ErrClosed = errors.New("the log of signatures is closed")

// Pending is a line on its way into the log.
type Pending struct {
	log   *Log
	body  []byte   // the JSON object, from after its opening brace; nil: no line
	of    *Pending // the line that this is the outcome of
	after []*Pending
	vital bool // may take of the space that is kept back
	taken bool // is in no queue any more; under the log's mu

	done chan struct{} // closed when it is durable, or err says why not; nil of an outcome
	seq  uint64
	err  error
}

// Append hands a line on to be written. It is written and synced when somebody
// waits for it, or for another line; or soon ([Pending.Soon]). vital lets it take
// of the space that is kept back: CRLs, without which a revocation is nowhere to
// be seen. Where one of the lines after, which were handed on before, is not
// written, this one is not.
func (l *Log) Append(e *Entry, vital bool, after ...*Pending) (*Pending, error) {
	return l.append(e, &Pending{vital: vital, after: after, done: make(chan struct{})})
}

// Outcome hands on the line that says what became of another. Nobody waits for
// it: it is on disk with the next that somebody waits for, and a line without an
// outcome counts as signed.
func (l *Log) Outcome(of *Pending, e *Entry) error {
	_, err := l.append(e, &Pending{of: of, vital: true})
	return err
}

func (l *Log) append(e *Entry, p *Pending) (*Pending, error) {
	e.Time = l.Now().UTC()
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("the log of signatures: %w", err)
	}
	p.body = body[1:]
	return p, l.hand(p)
}

// Settle makes durable what was handed on before, outcomes too.
func (l *Log) Settle(ctx context.Context) error {
	p := &Pending{done: make(chan struct{})}
	if err := l.hand(p); err != nil {
		return err
	}
	return p.Wait(ctx)
}

// hand puts a line in the queue.
func (l *Log) hand(p *Pending) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.broken != nil:
		return l.broken
	case l.closing:
		return ErrClosed
	}
	p.log = l
	l.queue = append(l.queue, p)
	switch len(l.queue) {
	case 1:
		l.idle.Reset(settleAfter)
	case many:
		l.wakeUp()
	}
	return nil
}

func (l *Log) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Soon has a line written now rather than when somebody waits for it: whoever is
// alone gains by it, and of many each would have a sync of his own.
func (p *Pending) Soon() {
	l := p.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if !p.taken {
		l.wanted = true
		l.wakeUp()
	}
}

// Wait waits until the line is durable. Where ctx ends first, the line may be
// written yet.
func (p *Pending) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	default:
		p.Soon()
	}
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Size is how many lines are durable.
func (l *Log) Size() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable
}

// Octets is the size of the files that have the lines.
func (l *Log) Octets() (sum int64) {
	all, _ := sealedSegments(l.Path) // what cannot be listed has no size
	for _, s := range append(all, segment{path: l.Path}) {
		if about, err := os.Stat(s.path); err == nil {
			sum += about.Size()
		}
	}
	return sum
}

// Writable reports whether lines are taken that are not vital.
func (l *Log) Writable() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken == nil && !l.full
}

// Witnessed gives the witnesses by name, with whether each has signed the last
// checkpoint.
func (l *Log) Witnessed() map[string]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]bool, len(l.Witnesses))
	for _, w := range l.Witnesses {
		all[w.name] = w.signed
	}
	return all
}

// Close writes what was handed on, signs for it, and closes the files. More than
// once it does nothing.
func (l *Log) Close() error {
	l.once.Do(func() { l.closed = l.close() })
	return l.closed
}

func (l *Log) close() error {
	if l.stop != nil {
		l.stop()
		<-l.checkpoints.done
	}
	l.flushRefusals()
	l.mu.Lock()
	l.closing = true
	l.wakeUp()
	l.mu.Unlock()
	<-l.ended
	if l.isBroken() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), witnessTime/2)
		defer cancel()
		if err := l.Checkpoint(ctx); err != nil {
			l.Log.Warn("the log of signatures has no new checkpoint", "error", err)
		}
	}
	return l.w.close()
}

// Open opens a log for writing, or begins one. What a crash left torn at its end
// is cut off, and the log says so; a log that is damaged in any other way is
// refused and left as it is.
func Open(c Config) (*Log, error) {
	l := &Log{Config: c, wake: make(chan struct{}, 1), idle: time.NewTimer(settleAfter), ended: make(chan struct{})}
	if l.SegmentSize == 0 {
		l.SegmentSize = 64 << 20
	}
	if l.Reserve == 0 {
		l.Reserve = 16 << 20
	}
	var err error
	if l.signer, err = newSigner(c.Seed); err != nil {
		return nil, err
	}
	if err := makeDir(c.Path); err != nil {
		return nil, fmt.Errorf("audit_log %s: %w", c.Path, err)
	}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("audit_log %s: %w", c.Path, err)
	}
	go l.write()
	if err := l.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("audit_log %s: %w", c.Path, err), l.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop, l.checkpoints.done = stop, make(chan struct{})
	go l.keepCheckpoints(ctx)
	return l, nil
}

// begin has the log witnessed and writes the line that says of this start. A log
// that has lines is witnessed first: one that is behind is not written to.
func (l *Log) begin() error {
	fresh := l.Size() == 0
	if !fresh {
		if err := l.witnessed(); err != nil {
			return err
		}
	}
	p, err := l.Append(&Entry{Kind: Start, Version: l.Version, Cut: l.w.cut, Verifier: l.signer.text}, true)
	if err == nil {
		err = p.Wait(context.Background())
	}
	if err != nil || !fresh {
		return err
	}
	return l.witnessed()
}

// fail ends the log: nothing is taken any more. What is on disk is for the next
// start to look at.
func (l *Log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		l.broken = fmt.Errorf("the log of signatures cannot be written until hsmd is started again: %w", err)
		l.Log.Error("ALARM: the log of signatures cannot be written; nothing is signed until hsmd is started again", "audit_log", l.Path, "error", err)
	}
}

func (l *Log) isBroken() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}
