package wire_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// greet does a client's side of the handshake by hand.
func greet(t *testing.T, near net.Conn) {
	t.Helper()
	hello, _ := hex.DecodeString(clientHello)
	if _, err := near.Write(hello); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(near, head); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, near, int64(binary.BigEndian.Uint32(head))); err != nil {
		t.Fatal(err)
	}
}

// forget is a request to forget a key of 1000 octets, whose failure names it.
func forget(id uint32) []byte {
	frame := append([]byte{0, 0, 0, 0, 0xa3, 0x01, 0x01, 0x02, 0x1a}, binary.BigEndian.AppendUint32(nil, id)...)
	frame = append(frame, 0x03, 0x06, 0xa1, 0x01, 0x79, 0x03, 0xe8)
	frame = append(frame, strings.Repeat("k", 1000)...)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	return frame
}

// TestPeerThatAsksAndDoesNotRead sends requests, never too many at once, and takes
// no answer. What waits to be written is bounded: the server reads no more, and
// the peer waits.
func TestPeerThatAsksAndDoesNotRead(t *testing.T) {
	const requests = 20_000
	before := runtime.NumGoroutine()
	near, far := sockets(t)
	served := make(chan error, 1)
	go func() { served <- wire.Serve(context.Background(), far, &echo{}, wire.ServeConfig{}) }()
	greet(t, near)
	_ = near.SetWriteDeadline(time.Now().Add(time.Second))
	sent, most := 0, 0
	for sent < requests {
		var some bytes.Buffer
		for range 100 {
			sent++
			some.Write(forget(uint32(1<<16 + sent)))
		}
		if _, err := near.Write(some.Bytes()); err != nil {
			break
		}
		time.Sleep(2 * time.Millisecond)
		most = max(most, runtime.NumGoroutine()-before)
	}
	near.Close()
	if err := <-served; most > 4*wire.DefaultMaxInFlight {
		t.Errorf("%d goroutines after %d requests whose answers nobody reads (%v)", most, sent, err)
	}
}

// TestLongAnswersAreFew: an answer that may be long takes one of the places that
// there are, and waits for it; short ones need none.
func TestLongAnswersAreFew(t *testing.T) {
	places := make(chan struct{}, 1)
	client, _ := pair(t, &echo{}, wire.ServeConfig{Long: places})
	places <- struct{}{}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if answer, err := client.Describe(ctx, &wire.DescribeRequest{}); err == nil {
		t.Errorf("%d keys are described beside another long answer", len(answer.Keys))
	}
	if _, err := client.Describe(t.Context(), &wire.DescribeRequest{Key: "k"}); err != nil {
		t.Errorf("one key: %v", err)
	}
	<-places
	for range 3 {
		if _, err := client.Describe(t.Context(), &wire.DescribeRequest{}); err != nil {
			t.Errorf("a place is free: %v", err)
		}
	}
}
