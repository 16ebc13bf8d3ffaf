package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// lengthSize is the length in front of a frame, big endian, which does not
// count itself.
const lengthSize = 4

// stallTimeout is how long a peer may take over a frame that it has begun, or
// over reading what we write.
const stallTimeout = 10 * time.Second

// errFrame marks what a peer must not send: it costs him the connection.
var errFrame = errors.New("protocol violation")

// reader takes frames off a connection.
type reader struct {
	conn net.Conn
	buf  *bufio.Reader
}

func newReader(conn net.Conn) *reader {
	return &reader{conn: conn, buf: bufio.NewReaderSize(conn, lengthSize+MaxFrame)}
}

// next gives the octets of one frame, valid until the next call. It waits
// without limit for a frame to begin, and not long for its end. io.EOF means
// that the peer is gone between frames.
func (r *reader) next(limit int) ([]byte, error) {
	if _, err := r.buf.Peek(1); err != nil {
		return nil, err
	}
	hurried := r.buf.Buffered() < lengthSize
	if hurried {
		r.hurry(true)
	}
	head, err := r.buf.Peek(lengthSize)
	if err != nil {
		return nil, halfFrame(err)
	}
	length := binary.BigEndian.Uint32(head)
	if length == 0 || length > uint32(limit) {
		return nil, fmt.Errorf("%w: a frame of %d octets, at most %d are allowed", errFrame, length, limit)
	}
	whole := lengthSize + int(length)
	if !hurried && r.buf.Buffered() < whole {
		hurried = true
		r.hurry(true)
	}
	frame, err := r.buf.Peek(whole)
	if err != nil {
		return nil, halfFrame(err)
	}
	if hurried {
		r.hurry(false)
	}
	_, _ = r.buf.Discard(whole) // the octets stay where they are until the next read
	return frame[lengthSize:], nil
}

func (r *reader) hurry(on bool) {
	var deadline time.Time
	if on {
		deadline = time.Now().Add(stallTimeout)
	}
	_ = r.conn.SetReadDeadline(deadline)
}

func halfFrame(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: half a frame: %w", errFrame, err)
}

// maxQueued is how much may wait to be written before senders wait too.
const maxQueued = 1 << 20

// writer puts frames on a connection. Whoever finds nobody writing writes his
// own frame and all that were queued meanwhile, in one call.
type writer struct {
	conn net.Conn

	mu      sync.Mutex
	room    sync.Cond // signalled when queue has been taken
	queue   []byte
	spare   []byte
	writing bool
	err     error
}

func newWriter(conn net.Conn) *writer {
	w := &writer{conn: conn}
	w.room.L = &w.mu
	return w
}

// send queues one frame and sees to it that it is written. The error is the
// connection's; it stays, and ends the connection: a peer that is not told the
// answers must not go on asking.
func (w *writer) send(frame []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.err == nil && len(w.queue) > maxQueued {
		w.room.Wait()
	}
	if w.err != nil {
		return w.err
	}
	w.queue = append(w.queue, frame...)
	if w.writing {
		return nil
	}
	w.writing = true
	for w.err == nil && len(w.queue) > 0 {
		out := w.queue
		w.queue = w.spare[:0]
		w.room.Broadcast()
		w.mu.Unlock()
		_ = w.conn.SetWriteDeadline(time.Now().Add(stallTimeout))
		_, err := w.conn.Write(out)
		w.mu.Lock()
		w.spare = out
		w.err = err
	}
	w.writing = false
	if w.err != nil {
		_ = w.conn.Close()
		w.room.Broadcast()
	}
	return w.err
}

// fail makes all senders, now and later, get err.
func (w *writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	w.room.Broadcast()
}

var frames = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// sendFrame encodes header and body into one frame and sends it. An error of
// the body's encoding is errUnsent: nothing was written.
func (w *writer) sendFrame(h *header, body any) error {
	b := frames.Get().(*bytes.Buffer)
	defer frames.Put(b)
	b.Reset()
	if err := appendFrame(b, h, body, MaxFrame); err != nil {
		return err
	}
	return w.send(b.Bytes())
}

// errUnsent marks a frame that could not be made.
var errUnsent = errors.New("cannot be sent")

// appendFrame encodes one frame. body is a message, raw octets that are one
// already, or nil.
func appendFrame(b *bytes.Buffer, h *header, body any, limit int) error {
	start := b.Len()
	b.Write([]byte{0, 0, 0, 0})
	if err := h.append(b); err != nil {
		return fmt.Errorf("%w: %w", errUnsent, err)
	}
	switch body := body.(type) {
	case nil:
	case encoded:
		b.Write(body)
	default:
		if err := encode(b, body); err != nil {
			return fmt.Errorf("%w: %w", errUnsent, err)
		}
	}
	length := b.Len() - start - lengthSize
	if length > limit {
		return fmt.Errorf("%w: it has %d octets, a frame at most %d", errUnsent, length, limit)
	}
	binary.BigEndian.PutUint32(b.Bytes()[start:], uint32(length))
	return nil
}

// encoded is a body, or a piece of one, that is CBOR already.
type encoded []byte
