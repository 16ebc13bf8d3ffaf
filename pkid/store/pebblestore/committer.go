package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// groupSize ends a group: what is beyond waits for the next one.
const groupSize = 1 << 20

// errConflict answers an update that has to run again.
var errConflict = errors.New("pebblestore: conflict")

// request is an update that has run and waits to be committed, or one that asks
// for its turn alone.
type request struct {
	seq     uint64 // of the snapshot that it read
	points  []string
	ranges  []keyRange
	changes map[string]change

	turn *turn // set: not a commit yet

	taken  atomic.Bool // by the committer, or by the caller who gives up
	err    error       // of a loser
	answer chan error  // has room for one
}

// turn lets one update run while no other commits.
type turn struct {
	granted chan struct{} // closed by the committer
	back    chan *request // has room for one; nil: given up
}

// committer takes the updates that wait, checks what they have read, joins them
// into a group, has Pebble write it, and publishes and answers it when it is
// synced: one group at a time. The next gathers meanwhile, so that it is as large
// as the disk is slow. A second group under way would take the first update that
// comes and little more, and so cost a sync of its own.
type committer struct {
	db      *pebble.DB
	gate    *gate
	publish func(*snapshot)
	history *history

	mu      sync.Mutex
	waiting []*request
	wake    chan struct{} // has room for one
	stop    chan struct{}

	finished chan struct{} // closed when the goroutine has ended
}

func startCommitter(db *pebble.DB, g *gate, publish func(*snapshot)) *committer {
	c := &committer{
		db:       db,
		gate:     g,
		publish:  publish,
		history:  newHistory(historyKeys),
		wake:     make(chan struct{}, 1),
		stop:     make(chan struct{}),
		finished: make(chan struct{}),
	}
	go func() {
		defer close(c.finished)
		c.run()
	}()
	return c
}

// commit waits until r is durable. An error of ctx means that it is not, and
// never will be.
func (c *committer) commit(ctx context.Context, r *request) error {
	r.answer = make(chan error, 1)
	c.enqueue(r)
	select {
	case err := <-r.answer:
		return err
	case <-c.gate.failed:
	case <-ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
	}
	return c.await(r)
}

// await waits for the answer to a request that the committer has, or may have.
func (c *committer) await(r *request) error {
	select {
	case err := <-r.answer:
		return err
	case <-c.gate.failed:
	}
	select {
	case err := <-r.answer: // durable before the failure
		return err
	default:
		return readOnly(c.gate.failure())
	}
}

func (c *committer) enqueue(r *request) {
	c.mu.Lock()
	c.waiting = append(c.waiting, r)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run commits groups until it is stopped or the gate closes.
func (c *committer) run() {
	defer c.recoverFromPebble()
	for seq := uint64(1); ; seq++ {
		select {
		case <-c.wake:
		case <-c.stop:
			return
		case <-c.gate.failed:
			return
		}
		// Whoever can run and is about to ask does so first: without this the
		// next group is small, and there are half as many syncs again.
		runtime.Gosched()
		g, next := c.gather(seq)
		if !c.write(g) {
			return
		}
		if next == nil {
			continue
		}
		seq++
		if !c.write(c.grant(next, seq)) {
			return
		}
	}
}

// gather makes a group of the updates that wait, up to one that asks for its
// turn.
func (c *committer) gather(seq uint64) (*group, *turn) {
	g := &group{seq: seq}
	c.mu.Lock()
	waiting := c.waiting
	c.waiting = nil
	c.mu.Unlock()
	for i, r := range waiting {
		if !r.taken.CompareAndSwap(false, true) {
			continue
		}
		if r.turn != nil {
			c.putBack(waiting[i+1:])
			return g, r.turn
		}
		c.admit(g, r)
		if g.size >= groupSize {
			c.putBack(waiting[i+1:])
			break
		}
	}
	return g, nil
}

// admit lets r into the group, or among its losers. A loser is answered after
// the group is published: before, it would read the same again.
func (c *committer) admit(g *group, r *request) {
	if c.history.conflicts(r) {
		r.err = errConflict
	} else {
		r.err = g.join(c.db, r)
	}
	if r.err != nil {
		g.losers = append(g.losers, r)
		return
	}
	for key := range r.changes {
		c.history.note(g.seq, key)
	}
}

func (c *committer) putBack(rest []*request) {
	if len(rest) == 0 {
		return
	}
	c.mu.Lock()
	c.waiting = append(rest[:len(rest):len(rest)], c.waiting...)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write makes the group durable, and only then publishes and answers it. It is
// false when the gate has closed: then nothing is published, and the callers have
// been told that the outcome is open.
func (c *committer) write(g *group) bool {
	if len(g.winners) > 0 {
		if err := g.apply(c.db); err != nil {
			c.gate.fail(err)
		}
		// Pebble reports a failed commit to its log alone.
		if c.gate.failure() != nil {
			return false
		}
		c.history.forget()
		if err := g.batch.SyncWait(); err != nil {
			c.gate.fail(fmt.Errorf("sync: %w", err))
		}
		if c.gate.failure() != nil {
			g.snap.release()
			return false
		}
		_ = g.batch.Close() // back to Pebble's pool
		c.publish(g.snap)
	}
	for _, r := range g.winners {
		r.answer <- nil
	}
	for _, r := range g.losers {
		r.answer <- r.err
	}
	return true
}

// grant gives t its turn: it lets the update run, and makes a group of it alone.
func (c *committer) grant(t *turn, seq uint64) *group {
	close(t.granted)
	g := &group{seq: seq}
	if r := <-t.back; r != nil {
		r.taken.Store(true)
		c.admit(g, r)
	}
	return g
}

// recoverFromPebble turns a panic of the committer into a failure: the callers
// are answered, and reads go on.
func (c *committer) recoverFromPebble() {
	if p := recover(); p != nil {
		c.gate.fail(fmt.Errorf("panic while committing: %v", p))
	}
}

// runAlone runs fn while no other update commits, and commits what it asks for.
// fn gives nil for nothing.
func (c *committer) runAlone(ctx context.Context, fn func() *request) error {
	t := &turn{granted: make(chan struct{}), back: make(chan *request, 1)}
	ask := &request{turn: t}
	c.enqueue(ask)
	select {
	case <-t.granted:
	case <-c.gate.failed:
		return readOnly(c.gate.failure())
	case <-ctx.Done():
		if ask.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		select {
		case <-t.granted:
		case <-c.gate.failed:
			return readOnly(c.gate.failure())
		}
	}
	var r *request
	defer func() { // also when fn panics: the committer waits for it
		if r == nil {
			t.back <- nil
		}
	}()
	if r = fn(); r == nil {
		return nil
	}
	r.answer = make(chan error, 1)
	t.back <- r
	return c.await(r)
}
