package wire_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// names are the names of steps, each behind those that it is a part of.
func names(steps []wire.Step) (all []string) {
	for _, s := range steps {
		name := s.Name
		if s.In > 0 {
			name = all[s.In-1] + "/" + name
		}
		all = append(all, name)
	}
	return all
}

// TestSteps follows one request through two hops, as from pkid through hsmd to a
// worker, in good and in bad.
func TestSteps(t *testing.T) {
	refuse := false
	far, _ := pair(t, &echo{sign: func(ctx context.Context, _ *wire.SignRequest) (*wire.SignResponse, error) {
		wire.StepsOf(ctx).Next("C_Sign")
		time.Sleep(2 * time.Millisecond)
		if refuse {
			return nil, wire.Errorf(wire.Unavailable, "away")
		}
		return &wire.SignResponse{Signature: []byte{1}}, nil
	}}, wire.ServeConfig{})
	near, _ := pair(t, &echo{sign: func(ctx context.Context, req *wire.SignRequest) (*wire.SignResponse, error) {
		steps := wire.StepsOf(ctx)
		steps.Next("constraints")
		if req.Parts != nil {
			if _, err := io.Copy(io.Discard, req.Parts); err != nil {
				return nil, err
			}
		}
		steps.Next("token")
		return far.Sign(ctx, &wire.SignRequest{Key: req.Key})
	}}, wire.ServeConfig{})

	want := []string{"request", "request/sign", "request/sign/constraints", "request/sign/token", "request/sign/token/sign", "request/sign/token/sign/C_Sign"}
	for _, message := range []string{"short", strings.Repeat("long", wire.MaxInline)} {
		for _, refuse = range []bool{false, true} {
			ctx, steps := wire.WithSteps(context.Background(), "request")
			if _, err := near.Sign(ctx, &wire.SignRequest{Message: []byte(message)}); errors.Is(err, wire.Unavailable) != refuse {
				t.Fatal(err)
			}
			all := steps.End()
			if got := names(all); !slices.Equal(got, want) {
				t.Errorf("refused %v: steps %q", refuse, got)
			}
			for i, s := range all {
				if s.In == 0 {
					continue
				}
				// "constraints" (2) takes no time, and rounds to one after its end.
				whole := all[s.In-1]
				if s.Start < whole.Start || s.Start+s.Took > whole.Start+whole.Took && i != 2 || s.Took < 1900 && i != 2 || s.Took%100 != 0 || s.Start%100 != 0 {
					t.Errorf("%q, from %d for %d µs, in %q, from %d for %d µs", s.Name, s.Start, s.Took, whole.Name, whole.Start, whole.Took)
				}
			}
		}
	}

	asked := false
	plain, _ := pair(t, &echo{sign: func(ctx context.Context, _ *wire.SignRequest) (*wire.SignResponse, error) {
		asked = wire.StepsOf(ctx) != nil
		wire.StepsOf(ctx).Next("nobody wants to know")
		return &wire.SignResponse{}, nil
	}}, wire.ServeConfig{})
	if _, err := plain.Sign(context.Background(), &wire.SignRequest{}); err != nil || asked {
		t.Errorf("steps of a request that is not timed: %v (%v)", asked, err)
	}
}

// TestStepsBounded has a peer note more, and longer, than there is room for.
func TestStepsBounded(t *testing.T) {
	far, _ := pair(t, &echo{sign: func(ctx context.Context, _ *wire.SignRequest) (*wire.SignResponse, error) {
		for range 100 {
			wire.StepsOf(ctx).Next(strings.Repeat("ä", 100) + "\n")
		}
		return &wire.SignResponse{}, nil
	}}, wire.ServeConfig{})
	ctx, steps := wire.WithSteps(context.Background(), "request")
	for range 3 {
		if _, err := far.Sign(ctx, &wire.SignRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	all := steps.End()
	if len(all) != wire.MaxSteps {
		t.Errorf("%d steps", len(all))
	}
	for i, s := range all {
		if len(s.Name) > 32 || strings.ContainsRune(s.Name, '\n') || s.In > uint(i) {
			t.Errorf("step %d: %+v", i, s)
		}
	}
}

// answered connects a client to a server that answers the first request with this
// frame.
func answered(t *testing.T, frame string) *wire.Client {
	near, far := sockets(t)
	go func() {
		_, _ = io.ReadFull(far, make([]byte, len(clientHello)/2))
		_, _ = far.Write(welcomed)
		_, _ = far.Read(make([]byte, 100))
		_, _ = far.Write(append([]byte{0, 0, 0, byte(len(frame))}, frame...))
	}()
	client, err := wire.NewClient(near, wire.ClientConfig{Software: "client"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// TestStepsThatLie has a server send steps that are parts of later ones, of
// themselves, or of none, and steps that nobody asked for.
func TestStepsThatLie(t *testing.T) {
	for _, timed := range []bool{true, false} {
		// {1: answer, 2: 1, 7: [{"a", in 0, took 2^63-1}, {"b", in 2}, {"c", in 9}, {"d", in 1}]}, {1: h'01'}
		client := answered(t, "\xa3\x01\x04\x02\x01\x07\x84"+"\xa3\x01\x61a\x03\x01\x04\x1b\x7f\xff\xff\xff\xff\xff\xff\xff"+"\xa3\x01\x61b\x02\x02\x03\x01"+"\xa3\x01\x61c\x02\x09\x03\x20"+"\xa3\x01\x61d\x02\x01\x03\x00"+"\xa1\x01\x41\x01")
		ctx, steps := context.Background(), (*wire.Steps)(nil)
		if timed {
			ctx, steps = wire.WithSteps(ctx, "request")
		}
		if _, err := client.Sign(ctx, &wire.SignRequest{}); err != nil {
			t.Fatal(err)
		}
		for _, s := range steps.End() {
			if s.Took < 0 || s.Took > time.Hour.Microseconds() {
				t.Errorf("%q took %d µs", s.Name, s.Took)
			}
		}
		if got, want := names(steps.End()), []string{"request", "request/a", "request/b", "request/c", "request/a/d"}; timed && !slices.Equal(got, want) {
			t.Errorf("steps %q", got)
		}
	}
}
