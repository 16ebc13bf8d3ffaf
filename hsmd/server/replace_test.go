package server_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"crypto/x509"

	"github.com/hsmpki/hsmpki/hsmd/server"
	"github.com/hsmpki/hsmpki/wire"
)

// told counts the definitions that the worker has of a name.
func (h *hsmd) told(name string) (n int) {
	h.token.mu.Lock()
	defer h.token.mu.Unlock()
	for _, c := range h.token.told {
		if c.Definition.Name == name {
			n++
		}
	}
	return n
}

// TestReplacedDefinitions: the worker forgets a definition when the last request
// that may need it is answered, be it replaced over the wire or by a reload, and
// there is a bound on how many wait for that.
func TestReplacedDefinitions(t *testing.T) {
	h := start(t, everything)
	key := h.give("root", "P256")
	certificate, _ := messages(t, x509.ECDSAWithSHA256, key, now)
	find := func(name string) {
		t.Helper()
		answer := must[*wire.DescribeResponse](t)(h.as(own).Describe(ctx, &wire.DescribeRequest{Key: name, Find: true}))
		if err := answer.Keys[0].Fault.Err(); err != nil && !errors.Is(err, wire.UnknownKey) {
			t.Fatal(err)
		}
	}
	for range 3 {
		must[*wire.ConfigureResponse](t)(h.configure(defined("learn", "learn")))
		find("learn")
	}
	h.srv.Wait()
	if n := h.told("learn"); n != 1 {
		t.Errorf("the worker has %d definitions of a name that was defined three times", n)
	}

	// A request that has begun with the state before.
	begun, rest := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		_, err := h.as(own).Sign(ctx, &wire.SignRequest{Key: "root", SPKI: spkiID(t, key.Public()), Scheme: wire.ECDSAP256SHA256,
			Parts: io.MultiReader(bytes.NewReader(certificate), &late{begun, rest})})
		ended <- err
	}()
	<-begun
	if err := h.srv.Replace(ctx, func(now *server.State) (*server.State, error) {
		next := h.state() // with other keys of the same names
		next.Grants = now.Grants
		return next, nil
	}); err != nil {
		t.Fatal(err)
	}
	find("root")
	if n := h.told("root"); n != 2 {
		t.Errorf("the worker has %d definitions of a key that was replaced under a request, want both", n)
	}
	most := 0
	for ; ; most++ {
		if _, err := h.configure(defined("learn", "learn")); err != nil {
			want(t, err, wire.Busy, "too many definitions were replaced")
			break
		}
		if most > 2000 {
			t.Fatal("nothing bounds the definitions that wait")
		}
	}
	close(rest)
	if err := <-ended; err != nil {
		t.Errorf("the request that began before: %v", err)
	}
	h.srv.Wait()
	if n := h.told("root"); n != 1 {
		t.Errorf("the worker has %d definitions of a key that was replaced, after the last request with the first", n)
	}
	must[*wire.ConfigureResponse](t)(h.configure(defined("learn", "learn")))
}

// TestReplaceFails: where the next state cannot be made, the one in force stays.
func TestReplaceFails(t *testing.T) {
	h := start(t, everything)
	before := h.srv.State()
	fault := errors.New("a fault")
	if err := h.srv.Replace(ctx, func(*server.State) (*server.State, error) { return nil, fault }); err != fault {
		t.Errorf("replace: %v", err)
	}
	if h.srv.State() != before {
		t.Error("another state is in force")
	}
	must[*wire.ConfigureResponse](t)(h.configure(defined("learn", "learn")))
}

// late is the end of a message, when it may come.
type late struct{ begun, rest chan struct{} }

func (l *late) Read([]byte) (int, error) {
	close(l.begun)
	<-l.rest
	return 0, io.EOF
}
