package wire

import (
	"bytes"
	"fmt"
	"net"
	"time"
)

// The versions of the protocol that this package speaks. A peer one major
// version back is spoken to; there is none before the first.
const (
	MinVersion = 1
	MaxVersion = 1
)

// magic begins the handshake, so that a stranger who dials the wrong socket
// finds out at once.
const magic = "hsmd wire"

// hello is the client's first frame.
type hello struct {
	Magic    string `cbor:"1,keyasint"`
	Min      uint16 `cbor:"2,keyasint"`
	Max      uint16 `cbor:"3,keyasint"`
	Software string `cbor:"4,keyasint,omitempty"`
}

// welcome is the server's answer: the version that both will speak, or why
// there is none.
type welcome struct {
	Magic       string `cbor:"1,keyasint"`
	Version     uint16 `cbor:"2,keyasint,omitempty"`
	Software    string `cbor:"3,keyasint,omitempty"`
	MaxInFlight uint16 `cbor:"4,keyasint,omitempty"`
	Refusal     string `cbor:"5,keyasint,omitempty"`
}

// greet is the client's side of the handshake.
func greet(conn net.Conn, r *reader, software string, timeout time.Duration) (welcome, error) {
	_ = conn.SetDeadline(time.Now().Add(timeout))
	defer conn.SetDeadline(time.Time{})
	if err := writeHandshake(conn, hello{Magic: magic, Min: MinVersion, Max: MaxVersion, Software: software}); err != nil {
		return welcome{}, Errorf(Unavailable, "handshake: %v", err)
	}
	var w welcome
	raw, err := r.next(MaxHandshake)
	if err != nil {
		return welcome{}, Errorf(Unavailable, "handshake: the peer hung up: %v", err)
	}
	if err := decode(raw, &w); err != nil || w.Magic != magic {
		return welcome{}, Errorf(Internal, "handshake: the peer does not speak this protocol")
	}
	if w.Refusal != "" {
		return welcome{}, Errorf(Invalid, "handshake: the peer refuses: %s", clean(w.Refusal))
	}
	if w.Version < MinVersion || w.Version > MaxVersion || w.MaxInFlight == 0 {
		return welcome{}, Errorf(Internal, "handshake: the peer answers with version %d, asked for were %d to %d", w.Version, MinVersion, MaxVersion)
	}
	return w, nil
}

// receive is the server's side of the handshake.
func receive(conn net.Conn, r *reader, software string, maxInFlight int, timeout time.Duration) (hello, error) {
	_ = conn.SetDeadline(time.Now().Add(timeout))
	defer conn.SetDeadline(time.Time{})
	var h hello
	raw, err := r.next(MaxHandshake)
	if err != nil {
		return h, fmt.Errorf("handshake: %w", err)
	}
	if err := decode(raw, &h); err != nil || h.Magic != magic {
		return h, fmt.Errorf("%w: handshake: not of this protocol", errFrame)
	}
	answer := welcome{Magic: magic, Software: software, Version: min(h.Max, MaxVersion), MaxInFlight: uint16(maxInFlight)}
	if h.Min > h.Max || h.Max < MinVersion || h.Min > MaxVersion {
		answer = welcome{Magic: magic, Software: software,
			Refusal: fmt.Sprintf("versions %d to %d are spoken here, %d to %d were asked for", MinVersion, MaxVersion, h.Min, h.Max)}
	}
	if err := writeHandshake(conn, answer); err != nil {
		return h, fmt.Errorf("handshake: %w", err)
	}
	if answer.Refusal != "" {
		return h, fmt.Errorf("handshake: %s", answer.Refusal)
	}
	return h, nil
}

func writeHandshake(conn net.Conn, message any) error {
	var b bytes.Buffer
	if err := encode(&b, message); err != nil {
		return err
	}
	if b.Len() > MaxHandshake {
		return fmt.Errorf("%d octets, at most %d are allowed", b.Len(), MaxHandshake)
	}
	frame := append([]byte{0, 0, byte(b.Len() >> 8), byte(b.Len())}, b.Bytes()...)
	_, err := conn.Write(frame)
	return err
}
