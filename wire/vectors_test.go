package wire_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

var rewrite = flag.Bool("update", false, "write testdata/vectors.txt anew")

// fixed answers always the same, with every field set that an answer has.
type fixed struct{ wire.Service }

var fixedKey = wire.KeyInfo{
	Definition: wire.Definition{
		Type: "pkcs11", Name: "ca", UUID: "44f0303f-eb86-57dd-b056-d5aaaab1be2c", AllowGenerateKey: true, AnyMount: true, Usages: []string{"sign"},
		PKCS11: &wire.PKCS11Definition{Library: "softhsm", TokenLabel: "token", KeyLabel: "ca", Mechanism: 0x1041, Curve: "P256"},
	},
	Source: wire.SourceConfig, PublicKey: []byte{0x30, 0x59}, Schemes: []wire.SignatureScheme{wire.ECDSAP256SHA256},
	CRLNumber: 7,
}

func (fixed) Describe(context.Context, *wire.DescribeRequest) (*wire.DescribeResponse, error) {
	return &wire.DescribeResponse{Keys: []wire.KeyInfo{fixedKey}}, nil
}
func (fixed) Generate(context.Context, *wire.GenerateRequest) (*wire.GenerateResponse, error) {
	return &wire.GenerateResponse{Key: fixedKey, Created: true}, nil
}
func (fixed) Sign(context.Context, *wire.SignRequest) (*wire.SignResponse, error) {
	return &wire.SignResponse{Signature: []byte{1, 2, 3}}, nil
}
func (fixed) Test(context.Context, *wire.TestRequest) (*wire.TestResponse, error) {
	return &wire.TestResponse{Scheme: wire.Ed25519, Message: []byte("m"), Signature: []byte{4}}, nil
}
func (fixed) Configure(context.Context, *wire.ConfigureRequest) (*wire.ConfigureResponse, error) {
	return &wire.ConfigureResponse{UUID: fixedKey.Definition.UUID}, nil
}
func (fixed) Forget(context.Context, *wire.ForgetRequest) (*wire.ForgetResponse, error) {
	return nil, &wire.Error{Code: wire.Busy, Message: "come again", RetryAfter: time.Second}
}
func (fixed) Status(context.Context, *wire.StatusRequest) (*wire.StatusResponse, error) {
	return &wire.StatusResponse{Version: "1", Started: 1795000000, Libraries: []wire.LibraryStatus{{Name: "softhsm", Path: "/lib.so", PID: 7,
		Fault: &wire.Fault{Code: wire.Unavailable, Message: "away", RetryAfterMillis: 1000}, Tokens: []wire.TokenStatus{{Slot: 1, Label: "token", Serial: "0f"}}}}}, nil
}

func (fixed) Approvals(context.Context, *wire.ApprovalsRequest) (*wire.ApprovalsResponse, error) {
	return &wire.ApprovalsResponse{Waiting: []wire.Waiting{{ID: "0a", Key: "ca", Kind: "certificate", Words: []string{"a certificate"}, UID: 7,
		Context: "pki 4", Asked: 1795000000, Until: 1795003600, Given: []string{"alice"}, Quorum: 2, Statement: "hsmd approval 1\n", Message: []byte{0x30, 0}}}}, nil
}
func (fixed) Approve(context.Context, *wire.ApproveRequest) (*wire.ApproveResponse, error) {
	return nil, &wire.Error{Code: wire.Pending, Message: "waits", RetryAfter: time.Second, ID: "0a", Until: time.Unix(1795003600, 0)}
}

func (fixed) Log(context.Context, *wire.LogRequest) (*wire.LogResponse, error) {
	return &wire.LogResponse{Lines: [][]byte{[]byte(`{"seq":7}`), []byte(`{"seq":8}`)}, Size: 9, Verifier: "log+00000000+AQ=="}, nil
}

// recorder keeps what is written to a connection.
type recorder struct {
	net.Conn
	mu      sync.Mutex
	written bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	r.written.Write(b)
	r.mu.Unlock()
	return r.Conn.Write(b)
}

// TestVectors holds the bytes of a conversation against testdata/vectors.txt,
// which is for clients in other languages, and then replays the client's half
// to a server.
func TestVectors(t *testing.T) {
	near, far := sockets(t)
	client, server := &recorder{Conn: near}, &recorder{Conn: far}
	served := make(chan error, 1)
	cfg := wire.ServeConfig{Software: "server"}
	go func() { served <- wire.Serve(context.Background(), server, fixed{}, cfg) }()
	c, err := wire.NewClient(client, wire.ClientConfig{Software: "client"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	_, e1 := c.Status(ctx, &wire.StatusRequest{})
	_, e2 := c.Describe(ctx, &wire.DescribeRequest{Key: "ca", Find: true, Issuer: []byte{0x30, 0}})
	_, e3 := c.Generate(ctx, &wire.GenerateRequest{ID: "0a", Type: wire.KeyP256, Context: "pki 1"})
	_, e4 := c.Sign(ctx, &wire.SignRequest{Key: "ca", SPKI: make([]byte, 32), Scheme: wire.ECDSAP256SHA256, Message: []byte{0x30, 0}, Context: "pki 2"})
	_, e5 := c.Test(ctx, &wire.TestRequest{Key: "ca", Scheme: wire.Ed25519})
	slot := uint64(3)
	_, e6 := c.Configure(ctx, &wire.ConfigureRequest{Definition: wire.Definition{Type: "pkcs11", Name: "x",
		PKCS11: &wire.PKCS11Definition{Library: "softhsm", Slot: &slot, PIN: "1234", KeyLabel: "x", Mechanism: 1, KeyBits: 4096}}})
	if err := errors.Join(e1, e2, e3, e4, e5, e6); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Forget(ctx, &wire.ForgetRequest{Key: "x"}); !errors.Is(err, wire.Busy) {
		t.Fatal(err)
	}
	if _, err := c.Generate(ctx, &wire.GenerateRequest{Key: "ca", ID: "0b", Context: "pki 3", Responder: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Approvals(ctx, &wire.ApprovalsRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Approve(ctx, &wire.ApproveRequest{ID: "0a", Signature: "-----BEGIN"}); !errors.Is(err, wire.Pending) {
		t.Fatal(err)
	}
	if _, err := c.Log(ctx, &wire.LogRequest{From: 7}); err != nil {
		t.Fatal(err)
	}
	c.Close()
	<-served
	got := "# A conversation, a frame a line: > from the client, < from the server. See README.md.\n" +
		lines(">", client.written.Bytes()) + lines("<", server.written.Bytes())
	const file = "testdata/vectors.txt"
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the bytes on the wire changed; if that is meant, it is a new version. Got:\n%s", got)
	}
	replay(t, string(want), cfg)
}

func lines(mark string, frames []byte) string {
	var b strings.Builder
	for len(frames) > 0 {
		size := 4 + int(frames[0])<<24 + int(frames[1])<<16 + int(frames[2])<<8 + int(frames[3])
		fmt.Fprintf(&b, "%s %x\n", mark, frames[:size])
		frames = frames[size:]
	}
	return b.String()
}

// replay sends the client's frames one after another and expects the server's.
func replay(t *testing.T, vectors string, cfg wire.ServeConfig) {
	var ask, answer [][]byte
	for line := range strings.Lines(vectors) {
		frame, err := hex.DecodeString(strings.TrimSpace(strings.TrimLeft(line, "<> ")))
		switch {
		case line[0] == '#':
		case err != nil:
			t.Fatal(err)
		case line[0] == '>':
			ask = append(ask, frame)
		default:
			answer = append(answer, frame)
		}
	}
	near, far := sockets(t)
	go wire.Serve(context.Background(), far, fixed{}, cfg)
	for i := range ask {
		if _, err := near.Write(ask[i]); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(answer[i]))
		if _, err := io.ReadFull(near, got); err != nil || !bytes.Equal(got, answer[i]) {
			t.Errorf("to %x\n the server says %x\n want          %x (%v)", ask[i], got, answer[i], err)
		}
	}
	near.Close()
}
