package wire_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

const clientHello = "00000018a4016968736d642077697265020103010466636c69656e74"

// welcomed is a server's handshake, in answer to clientHello.
var welcomed = []byte("\x00\x00\x00\x12\xa3\x01\x69hsmd wire\x02\x01\x04\x19\x01\x00")

// TestViolationsCostTheConnection sends what no client may send. The server
// names the fault, where there is a handshake to name it after, and hangs up.
func TestViolationsCostTheConnection(t *testing.T) {
	for name, c := range map[string]struct {
		sent  string // hex, after the handshake
		first bool   // instead of the handshake
		says  string
	}{
		"garbage for a handshake":     {sent: "474554202f20485454502f312e310d0a", first: true},
		"a handshake of another":      {sent: "00000003a10101", first: true},
		"a handshake above its limit": {sent: "00000401" + strings.Repeat("00", 1025), first: true},
		"length of 1 GiB":             {sent: "40000000", says: "at most"},
		"length of 64 KiB + 1":        {sent: "00010001", says: "at most"},
		"length of 0":                 {sent: "00000000", says: "at most"},
		"no CBOR":                     {sent: "00000004ffffffff", says: "header"},
		"an unknown key":              {sent: "00000007a30101020109 01", says: "header"},
		"a key twice":                 {sent: "00000007a3010102010201", says: "header"},
		"an indefinite length":        {sent: "00000006bf01010201ff", says: "header"},
		"an unknown kind":             {sent: "00000005a201090201", says: "kind 9"},
		"a server's kind":             {sent: "00000005a201040201", says: "kind 4"},
		"an unknown operation":        {sent: "00000008a3010102010317a0", says: "operation 23"},
		"id 0":                        {sent: "00000008a3010102000307a0", says: "id 0"},
		"no body":                     {sent: "00000007a3010102010307", says: "request"},
		"parts for another operation": {sent: "0000000aa401010201030705f5a0", says: "parts announced"},
		"two at once of one id":       {sent: strings.Repeat("00000010a3010102010303a301617302410303 01", 2), says: "in use"},
	} {
		t.Run(name, func(t *testing.T) {
			block := make(chan struct{})
			defer close(block)
			svc := &echo{sign: func(ctx context.Context, _ *wire.SignRequest) (*wire.SignResponse, error) {
				select {
				case <-block:
				case <-ctx.Done():
				}
				return nil, ctx.Err()
			}}
			near, far := sockets(t)
			served := make(chan error, 1)
			go func() { served <- wire.Serve(context.Background(), far, svc, wire.ServeConfig{}) }()
			sent, err := hex.DecodeString(strings.ReplaceAll(c.sent, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			if !c.first {
				hello, _ := hex.DecodeString(clientHello)
				sent = append(hello, sent...)
			}
			if _, err := near.Write(sent); err != nil {
				t.Fatal(err)
			}
			_ = near.(*net.UnixConn).CloseWrite()
			_ = near.SetReadDeadline(time.Now().Add(5 * time.Second))
			said, err := io.ReadAll(near)
			if err != nil {
				t.Fatalf("the server does not hang up: %v", err)
			}
			if !bytes.Contains(said, []byte(c.says)) {
				t.Errorf("the server said %q, want %q in it", said, c.says)
			}
			if err := <-served; err == nil {
				t.Error("Serve sees nothing wrong")
			}
		})
	}
}

// FuzzServe sends arbitrary bytes after a good handshake.
func FuzzServe(f *testing.F) {
	for _, seed := range []string{"0000000ca40101020103070419 7530a0", "00000010a3010102010303a301617302410301", "00000005a201030201",
		"00000012a401010201030306f5a301617302410303 01"} {
		raw, _ := hex.DecodeString(strings.ReplaceAll(seed, " ", ""))
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		near, far := sockets(t)
		served := make(chan error, 1)
		go func() { served <- wire.Serve(context.Background(), far, fixed{}, wire.ServeConfig{}) }()
		hello, _ := hex.DecodeString(clientHello)
		go func() {
			_, _ = near.Write(append(hello, sent...))
			_ = near.(*net.UnixConn).CloseWrite()
		}()
		_, _ = io.Copy(io.Discard, near)
		select {
		case <-served:
		case <-time.After(20 * time.Second):
			t.Fatal("the server does not end")
		}
	})
}

// FuzzClient has a malicious server answer.
func FuzzClient(f *testing.F) {
	f.Add([]byte{0, 0, 0, 6, 0xa2, 1, 4, 2, 1, 0xa0})
	f.Add([]byte("\x00\x00\x00\x0d\xa3\x01\x04\x02\x01\x07\x81\xa2\x01\x61a\x03\x01\xa0"))
	f.Fuzz(func(t *testing.T, said []byte) {
		near, far := sockets(t)
		go func() {
			_, _ = io.ReadFull(far, make([]byte, len(clientHello)/2))
			_, _ = far.Write(append(welcomed[:len(welcomed):len(welcomed)], said...))
			_ = far.(*net.UnixConn).CloseWrite()
			_, _ = io.Copy(io.Discard, far)
		}()
		client, err := wire.NewClient(near, wire.ClientConfig{Software: "client"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		ctx, steps := wire.WithSteps(ctx, "request")
		_, _ = client.Describe(ctx, &wire.DescribeRequest{})
		client.Close()
		for i, s := range steps.End() {
			if s.In > uint(i) || i >= wire.MaxSteps {
				t.Errorf("step %d is a part of %d", i, s.In)
			}
		}
	})
}
