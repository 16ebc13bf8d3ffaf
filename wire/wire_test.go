package wire_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hsmpki/hsmpki/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers with what it was asked, so that a test can see both ends.
type echo struct {
	wire.Service
	sign func(context.Context, *wire.SignRequest) (*wire.SignResponse, error)
}

func (e *echo) Sign(ctx context.Context, req *wire.SignRequest) (*wire.SignResponse, error) {
	if e.sign != nil {
		return e.sign(ctx, req)
	}
	message := req.Message
	if req.Parts != nil {
		var err error
		if message, err = io.ReadAll(req.Parts); err != nil {
			return nil, err
		}
	}
	sum := sha256.Sum256(message)
	return &wire.SignResponse{Signature: sum[:]}, nil
}

func (e *echo) Describe(_ context.Context, req *wire.DescribeRequest) (*wire.DescribeResponse, error) {
	var response wire.DescribeResponse
	for i := range 500 {
		response.Keys = append(response.Keys, wire.KeyInfo{
			Definition: wire.Definition{Type: "pkcs11", Name: fmt.Sprintf("%s-%d", req.Key, i)}, Source: wire.SourceConfig,
			PublicKey: bytes.Repeat([]byte{byte(i)}, 300),
		})
	}
	return &response, nil
}

func (e *echo) Test(context.Context, *wire.TestRequest) (*wire.TestResponse, error) { panic("a bug") }

func (e *echo) Forget(_ context.Context, req *wire.ForgetRequest) (*wire.ForgetResponse, error) {
	return nil, fmt.Errorf("wrapped: %w", &wire.Error{Code: wire.Busy, Message: "key " + req.Key, RetryAfter: 1500 * time.Millisecond})
}

// pair connects a client to svc over a socketpair.
func pair(t testing.TB, svc wire.Service, cfg wire.ServeConfig) (*wire.Client, <-chan error) {
	t.Helper()
	near, far := sockets(t)
	served := make(chan error, 1)
	go func() { served <- wire.Serve(context.Background(), far, svc, cfg) }()
	client, err := wire.NewClient(near, wire.ClientConfig{Software: "test/1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client, served
}

func sockets(t testing.TB) (net.Conn, net.Conn) {
	t.Helper()
	listener, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near, err := net.Dial("unix", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// TestAMessageIsTheSameWhicheverWayItTravels covers the sizes around every
// limit, whole and from a reader.
func TestAMessageIsTheSameWhicheverWayItTravels(t *testing.T) {
	client, _ := pair(t, &echo{}, wire.ServeConfig{Software: "server/2"})
	if client.PeerSoftware() != "server/2" || client.Version() != 1 {
		t.Errorf("the handshake gave %q, version %d", client.PeerSoftware(), client.Version())
	}
	for _, size := range []int{0, 1, 1000, wire.MaxPart, wire.MaxPart + 1, wire.MaxInline, wire.MaxInline + 1, 2 * wire.MaxPart, 10*wire.MaxPart + 7, 5 << 20} {
		message := bytes.Repeat([]byte("0123456789abcde"), size/15+1)[:size]
		want := sha256.Sum256(message)
		whole, err := client.Sign(t.Context(), &wire.SignRequest{Key: "k", Message: message})
		if err != nil || !bytes.Equal(whole.Signature, want[:]) {
			t.Errorf("%d octets whole: %v", size, err)
		}
		parts, err := client.Sign(t.Context(), &wire.SignRequest{Key: "k", Parts: io.MultiReader(bytes.NewReader(message[:size/3]), bytes.NewReader(message[size/3:]))})
		if err != nil || !bytes.Equal(parts.Signature, want[:]) {
			t.Errorf("%d octets in parts: %v", size, err)
		}
	}
}

func TestManyAtOnceInAnyOrder(t *testing.T) {
	release := make(chan struct{})
	svc := &echo{sign: func(_ context.Context, req *wire.SignRequest) (*wire.SignResponse, error) {
		if req.Key == "slow" {
			<-release
		}
		return &wire.SignResponse{Signature: req.Message}, nil
	}}
	client, _ := pair(t, svc, wire.ServeConfig{MaxInFlight: 32})
	slow := make(chan error, 1)
	go func() {
		_, err := client.Sign(t.Context(), &wire.SignRequest{Key: "slow"})
		slow <- err
	}()
	var callers sync.WaitGroup
	for i := range 100 {
		callers.Go(func() {
			for j := range 50 {
				message := fmt.Appendf(nil, "%d-%d", i, j)
				response, err := client.Sign(t.Context(), &wire.SignRequest{Key: "k", Message: message})
				if err != nil || !bytes.Equal(response.Signature, message) {
					t.Errorf("%s: got %v, %v", message, response, err)
					return
				}
			}
		})
	}
	callers.Wait()
	close(release)
	if err := <-slow; err != nil {
		t.Error(err)
	}
}

func TestLongAnswersAndFailures(t *testing.T) {
	client, _ := pair(t, &echo{}, wire.ServeConfig{})
	response, err := client.Describe(t.Context(), &wire.DescribeRequest{Key: "k"})
	if err != nil || len(response.Keys) != 500 || response.Keys[499].Definition.Name != "k-499" {
		t.Fatalf("a description of 150,000 octets: %v", err)
	}
	_, err = client.Forget(t.Context(), &wire.ForgetRequest{Key: "x\ny"})
	failure, ok := errors.AsType[*wire.Error](err)
	if !ok || !errors.Is(err, wire.Busy) || failure.Message != "key x y" || failure.RetryAfter != 1500*time.Millisecond {
		t.Errorf("a typed failure came as %#v", err)
	}
	if _, err := client.Test(t.Context(), &wire.TestRequest{Key: "k"}); !errors.Is(err, wire.Internal) {
		t.Errorf("a panic came as %v", err)
	}
	if _, err := client.Sign(t.Context(), &wire.SignRequest{Key: strings.Repeat("k", 70000)}); !errors.Is(err, wire.Invalid) {
		t.Errorf("a request above a frame came as %v", err)
	}
	if _, err := client.Sign(t.Context(), &wire.SignRequest{Key: "k"}); err != nil {
		t.Errorf("the connection goes on after failures: %v", err)
	}
}

// faulty describes a key by why it was not found, in words that somebody else
// chose.
type faulty struct{ wire.Service }

func (faulty) Describe(context.Context, *wire.DescribeRequest) (*wire.DescribeResponse, error) {
	err := wire.Errorf(wire.Unavailable, "request \xff\n%s", strings.Repeat("é", 3<<20))
	return &wire.DescribeResponse{Keys: []wire.KeyInfo{{Fault: wire.FaultOf(err)}}}, nil
}

// TestFaultInsideAnAnswer: its words are made fit to be sent as those of a failure
// are, and do not cost the answer.
func TestFaultInsideAnAnswer(t *testing.T) {
	client, _ := pair(t, faulty{}, wire.ServeConfig{})
	answer, err := client.Describe(t.Context(), &wire.DescribeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if fault := answer.Keys[0].Fault; fault.Code != wire.Unavailable || !strings.HasPrefix(fault.Message, "request   éé") {
		t.Errorf("%.100q", fault.Message)
	}
}

func TestDeadlineAndCancelReachTheService(t *testing.T) {
	ended := make(chan error, 1)
	svc := &echo{sign: func(ctx context.Context, _ *wire.SignRequest) (*wire.SignResponse, error) {
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}}
	client, _ := pair(t, svc, wire.ServeConfig{})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := client.Sign(ctx, &wire.SignRequest{Key: "k"}); !errors.Is(err, wire.Unavailable) {
		t.Errorf("deadline: %v", err)
	}
	<-ended
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := client.Sign(ctx, &wire.SignRequest{Key: "k"}); !errors.Is(err, wire.Unavailable) {
		t.Errorf("cancel: %v", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the service saw %v", err)
	}
}

// TestAnswerBeforeTheLastPart: a service that has seen enough answers, and the
// client stops sending.
func TestAnswerBeforeTheLastPart(t *testing.T) {
	svc := &echo{sign: func(_ context.Context, req *wire.SignRequest) (*wire.SignResponse, error) {
		if req.Parts == nil {
			return &wire.SignResponse{Signature: req.Message}, nil
		}
		_, _ = io.ReadFull(req.Parts, make([]byte, 10))
		return nil, wire.Errorf(wire.Denied, "seen enough")
	}}
	client, _ := pair(t, svc, wire.ServeConfig{})
	for range 20 {
		if _, err := client.Sign(t.Context(), &wire.SignRequest{Key: "k", Message: make([]byte, 4<<20)}); !errors.Is(err, wire.Denied) {
			t.Fatal(err)
		}
		if response, err := client.Sign(t.Context(), &wire.SignRequest{Key: "k", Message: []byte("x")}); err != nil || string(response.Signature) != "x" {
			t.Fatal(err)
		}
	}
	failing := io.MultiReader(bytes.NewReader(make([]byte, 3*wire.MaxPart)), &broken{})
	if _, err := client.Sign(t.Context(), &wire.SignRequest{Key: "k", Parts: failing}); err == nil {
		t.Error("a message that cannot be read was signed")
	}
}

type broken struct{}

func (*broken) Read([]byte) (int, error) { return 0, errors.New("disk on fire") }

func TestABrokenConnectionFailsEveryCaller(t *testing.T) {
	block := make(chan struct{})
	svc := &echo{sign: func(ctx context.Context, _ *wire.SignRequest) (*wire.SignResponse, error) {
		select {
		case <-ctx.Done():
		case <-block:
		}
		return nil, ctx.Err()
	}}
	near, far := sockets(t)
	go wire.Serve(context.Background(), far, svc, wire.ServeConfig{})
	client, err := wire.NewClient(near, wire.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan error, 10)
	for range 10 {
		go func() {
			_, err := client.Sign(context.Background(), &wire.SignRequest{Key: "k"})
			results <- err
		}()
	}
	time.Sleep(20 * time.Millisecond)
	far.Close()
	for range 10 {
		if err := <-results; !errors.Is(err, wire.Unavailable) {
			t.Errorf("got %v", err)
		}
	}
	<-client.Done()
	if _, err := client.Sign(t.Context(), &wire.SignRequest{Key: "k"}); !errors.Is(err, wire.Unavailable) || client.Err() == nil {
		t.Errorf("a later call got %v", err)
	}
	close(block)
}

// TestDrain: when the server is to stop, what is under way is answered.
func TestDrain(t *testing.T) {
	near, far := sockets(t)
	begun, release := make(chan struct{}), make(chan struct{})
	svc := &echo{sign: func(context.Context, *wire.SignRequest) (*wire.SignResponse, error) {
		close(begun)
		<-release
		return &wire.SignResponse{Signature: []byte("late")}, nil
	}}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- wire.Serve(ctx, far, svc, wire.ServeConfig{}) }()
	client, err := wire.NewClient(near, wire.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := client.Sign(context.Background(), &wire.SignRequest{Key: "k"})
		answered <- err
	}()
	<-begun
	stop()
	time.Sleep(10 * time.Millisecond)
	close(release)
	if err := <-answered; err != nil {
		t.Errorf("the request under way: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
