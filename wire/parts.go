package wire

import (
	"context"
	"fmt"
	"io"
	"sync"
)

// partReader is a message that comes in parts, for the service to read. It
// holds at most PartWindow parts: each that has been read gives the client
// credit for another.
type partReader struct {
	credit func()
	ctx    context.Context // of the request; set before the first Read

	queue chan []byte // parts not yet begun
	ended chan struct{}
	rest  []byte // of the part being read
	begun bool   // rest is of a part whose credit is still owed

	mu   sync.Mutex
	last bool  // the last part is in the queue, or was
	err  error // after ended is closed
}

func newPartReader(credit func()) *partReader {
	return &partReader{credit: credit, queue: make(chan []byte, PartWindow), ended: make(chan struct{})}
}

// feed takes a part off the connection.
func (p *partReader) feed(body []byte, more bool) error {
	var part []byte
	if err := decode(body, &part); err != nil {
		return fmt.Errorf("%w: part: %w", errFrame, err)
	}
	if len(part) > MaxPart {
		return fmt.Errorf("%w: a part of %d octets, at most %d are allowed", errFrame, len(part), MaxPart)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last {
		return fmt.Errorf("%w: a part after the last", errFrame)
	}
	select {
	case p.queue <- part:
	default:
		return fmt.Errorf("%w: more than %d parts ahead of credit", errFrame, PartWindow)
	}
	if !more {
		p.last = true
		close(p.queue)
	}
	return nil
}

// fail ends the message: a Read under way, and every later one, gets err.
func (p *partReader) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
		close(p.ended)
	}
}

// Read implements io.Reader. It waits for the next part as long as the
// request's deadline allows.
func (p *partReader) Read(out []byte) (int, error) {
	for len(p.rest) == 0 {
		p.repay()
		select {
		case part, ok := <-p.queue:
			if !ok {
				return 0, io.EOF
			}
			p.rest, p.begun = part, true
		case <-p.ended:
			p.mu.Lock()
			defer p.mu.Unlock()
			return 0, p.err
		case <-p.ctx.Done():
			return 0, waited(p.ctx.Err())
		}
	}
	n := copy(out, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// repay gives credit for a part that has been read, unless no more are to come.
func (p *partReader) repay() {
	if !p.begun {
		return
	}
	p.begun = false
	// Under the lock, since no credit may follow the answer, which comes after
	// fail.
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.last && p.err == nil {
		p.credit()
	}
}
