package wire_test

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// deaf is a connection whose peer has stopped reading: after the handshake, no
// write comes to its end.
type deaf struct {
	net.Conn
	mu     sync.Mutex
	writes int
}

func (d *deaf) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.writes++; d.writes > 1 {
		return 0, os.ErrDeadlineExceeded
	}
	return d.Conn.Write(b)
}

// TestPeerThatDoesNotRead is hung up on: its requests would be carried out, and
// their answers be lost, as long as it likes.
func TestPeerThatDoesNotRead(t *testing.T) {
	near, far := sockets(t)
	served := make(chan error, 1)
	go func() { served <- wire.Serve(context.Background(), &deaf{Conn: far}, &echo{}, wire.ServeConfig{}) }()
	client, err := wire.NewClient(near, wire.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := client.Sign(ctx, &wire.SignRequest{Key: "k"}); !errors.Is(err, wire.Unavailable) || ctx.Err() != nil {
		t.Errorf("an answer that could not be written: %v (%v)", err, ctx.Err())
	}
	select {
	case <-served:
	case <-time.After(20 * time.Second):
		t.Error("the server goes on with a peer that does not read")
	}
}

// interrupted is a connection on which the server is told to end at the worst
// moment: when it has begun a frame and is about to wait for the rest of it.
type interrupted struct {
	net.Conn
	mu   sync.Mutex
	end  func()
	told chan struct{} // closed when the end has been noticed
	once sync.Once
}

func (i *interrupted) SetReadDeadline(deadline time.Time) error {
	past := !deadline.IsZero() && time.Until(deadline) < 0
	if past {
		err := i.Conn.SetReadDeadline(deadline)
		i.once.Do(func() { close(i.told) })
		return err
	}
	if !deadline.IsZero() {
		i.mu.Lock()
		end := i.end
		i.end = nil
		i.mu.Unlock()
		if end != nil {
			end()
			<-i.told
		}
	}
	return i.Conn.SetReadDeadline(deadline)
}

// TestEndInTheMiddleOfAFrame: the end is not forgotten over the deadlines of
// the frame that is being read.
func TestEndInTheMiddleOfAFrame(t *testing.T) {
	near, far := sockets(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	conn := &interrupted{Conn: far, told: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- wire.Serve(ctx, conn, &echo{}, wire.ServeConfig{}) }()
	hello, _ := hex.DecodeString(clientHello)
	if _, err := near.Write(hello); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(near, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	conn.mu.Lock()
	conn.end = cancel
	conn.mu.Unlock()
	request, _ := hex.DecodeString("0000000ca401010201030704197530a0")
	for _, part := range [][]byte{request[:2], request[2:]} {
		_, _ = near.Write(part) // the server may be gone before the second
		time.Sleep(20 * time.Millisecond)
	}
	select {
	case <-served:
	case <-time.After(20 * time.Second):
		t.Error("the server goes on although it was told to end")
		near.Close()
		<-served
	}
}
