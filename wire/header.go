package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"
)

// kind says what a frame is.
type kind uint8

const (
	kindRequest kind = 1 // client to server
	kindPart    kind = 2 // client to server: the next part of a message
	kindCancel  kind = 3 // client to server: the answer is not wanted any more
	kindAnswer  kind = 4 // server to client
	kindFailure kind = 5 // server to client, in place of an answer
	kindCredit  kind = 6 // server to client: one more part may be sent
)

// op says what a request asks for.
type op uint8

const (
	opDescribe  op = 1
	opGenerate  op = 2
	opSign      op = 3
	opTest      op = 4
	opConfigure op = 5
	opForget    op = 6
	opStatus    op = 7
	opApprovals op = 8
	opApprove   op = 9
	opLog       op = 10
)

// String names the operation, as the README does.
func (o op) String() string {
	switch o {
	case opDescribe:
		return "describe"
	case opGenerate:
		return "generate"
	case opSign:
		return "sign"
	case opTest:
		return "test"
	case opConfigure:
		return "configure"
	case opForget:
		return "forget"
	case opStatus:
		return "status"
	case opApprovals:
		return "approvals"
	case opApprove:
		return "approve"
	case opLog:
		return "log"
	}
	return "operation"
}

// header begins every frame after the handshake; a body follows it where the
// kind has one.
type header struct {
	Kind    kind   `cbor:"1,keyasint"`
	ID      uint64 `cbor:"2,keyasint"`
	Op      op     `cbor:"3,keyasint,omitempty"` // of a request
	Timeout uint32 `cbor:"4,keyasint,omitempty"` // of a request, milliseconds
	More    bool   `cbor:"5,keyasint,omitempty"` // parts follow; more frames of this answer follow
	Timed   bool   `cbor:"6,keyasint,omitempty"` // of a request: the answer is to have its steps
	Steps   []Step `cbor:"7,keyasint,omitempty"` // of an answer or a failure, where they were asked for
}

// append writes the header as encoder does; it is on every frame, and so is
// written by hand.
func (h *header) append(b *bytes.Buffer) error {
	var out [32]byte
	pairs := byte(2)
	p := append(out[:1], 0x01, byte(h.Kind), 0x02)
	p = appendUint(p, h.ID)
	if h.Op != 0 {
		p = append(p, 0x03, byte(h.Op))
		pairs++
	}
	if h.Timeout != 0 {
		p = appendUint(append(p, 0x04), uint64(h.Timeout))
		pairs++
	}
	if h.More {
		p = append(p, 0x05, 0xf5)
		pairs++
	}
	if h.Timed {
		p = append(p, 0x06, 0xf5)
		pairs++
	}
	if len(h.Steps) == 0 {
		p[0] = 0xa0 | pairs
		b.Write(p)
		return nil
	}
	p[0] = 0xa0 | (pairs + 1)
	b.Write(append(p, 0x07))
	return encode(b, h.Steps)
}

// appendUint is an unsigned integer in its shortest form (RFC 8949, section
// 3.1, major type 0).
func appendUint(p []byte, v uint64) []byte {
	switch {
	case v < 24:
		return append(p, byte(v))
	case v < 1<<8:
		return append(p, 0x18, byte(v))
	case v < 1<<16:
		return binary.BigEndian.AppendUint16(append(p, 0x19), uint16(v))
	case v < 1<<32:
		return binary.BigEndian.AppendUint32(append(p, 0x1a), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(p, 0x1b), v)
}

// parseHeader splits a frame into header and body.
func parseHeader(frame []byte) (header, []byte, error) {
	var h header
	body, err := decodeFirst(frame, &h)
	if err != nil {
		return h, nil, fmt.Errorf("%w: header: %w", errFrame, err)
	}
	return h, body, nil
}

// Default and longest deadlines of a request. Making a key, and whatever may
// have to log in to a slow token first, takes longer than a signature.
const (
	shortTimeout = 30 * time.Second
	longTimeout  = 120 * time.Second
)

// limit is the deadline of an operation that names none, and the longest that
// one may name.
func (o op) limit() time.Duration {
	switch o {
	case opGenerate, opTest, opDescribe:
		return longTimeout
	}
	return shortTimeout
}
