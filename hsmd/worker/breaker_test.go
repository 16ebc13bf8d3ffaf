package worker_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/worker"
	"github.com/hsmpki/hsmpki/wire"
)

const key, other = "1", "2" // handles

var errGone = wire.Errorf(wire.Unavailable, "C_Sign: CKR_DEVICE_REMOVED")

func TestBreaker(t *testing.T) {
	var log bytes.Buffer
	b := worker.NewBreaker(slog.New(slog.NewTextHandler(&log, nil)))
	ctx := t.Context()
	enter := func(want bool) {
		t.Helper()
		err := worker.Enter(b, key)
		if (err == nil) != want || err != nil && (wire.AsError(err).RetryAfter <= 0 || !strings.Contains(err.Error(), "CKR_DEVICE_REMOVED")) {
			t.Fatalf("got %v; is a request let through: %t", err, want)
		}
	}

	// Answers of a token that is there, and callers who gave up.
	gone, cancel := context.WithCancel(ctx)
	cancel()
	for _, answer := range []error{nil, wire.Errorf(wire.UnknownKey, ""), wire.Errorf(wire.LoginRefused, ""), wire.Errorf(wire.Invalid, ""),
		wire.Errorf(wire.Denied, ""), wire.Errorf(wire.KeyChanged, ""), wire.Errorf(wire.Internal, ""), wire.Errorf(wire.Busy, ""), errors.New("")} {
		worker.Leave(b, ctx, key, answer)
		enter(true)
	}
	worker.Leave(b, gone, key, errGone)
	enter(true)

	// It opens, for longer each time, and never for more than 5 s.
	worker.Leave(b, ctx, key, errGone)
	for _, want := range []time.Duration{250, 500, 1000, 2000, 4000, 5000, 5000} {
		enter(false)
		if pause := b.EndPause(); pause != want*time.Millisecond {
			t.Errorf("open for %s, want %s", pause, want*time.Millisecond)
		}
		enter(true) // one goes and looks,
		enter(false)
		worker.Leave(b, ctx, key, errGone)
		until := b.Until()
		worker.Leave(b, ctx, key, errGone) // and one that was slow says nothing new
		if b.Until() != until {
			t.Error("one that was under way keeps the breaker open for longer")
		}
	}

	// One that says nothing makes room for the next.
	b.EndPause()
	enter(true)
	worker.Leave(b, gone, key, errGone)
	enter(true)
	worker.Leave(b, ctx, key, wire.Errorf(wire.Busy, ""))
	enter(true)
	worker.Leave(b, ctx, key, nil)
	enter(true)
	enter(true)

	// A key that the token has not failed with is let through, and its answer is
	// no sign that the token is back for the first.
	worker.Leave(b, ctx, key, errGone)
	if err := worker.Enter(b, other); err != nil {
		t.Error(err)
	}
	worker.Leave(b, ctx, other, nil)
	enter(false)
	b.EndPause()
	enter(true)
	worker.Leave(b, ctx, key, nil)
	enter(true)

	// Where it failed with both, one answer is a sign for the other too.
	worker.Leave(b, ctx, key, errGone)
	worker.Leave(b, ctx, other, errGone)
	if err := worker.Enter(b, other); err == nil {
		t.Error("the other key is let through to a token that failed with it")
	}
	b.EndPause()
	enter(true)
	worker.Leave(b, ctx, key, nil)
	if err := worker.Enter(b, other); err != nil {
		t.Error(err)
	}
	if text := log.String(); strings.Count(text, "\n") != 6 || !strings.Contains(text, "a token is away") || !strings.Contains(text, "a token is back") {
		t.Errorf("the log has:\n%s", text)
	}
}

// TestBreakerOfKeysThatGo: a key is dropped while the request that looks whether
// the token is back is for it. Another's looks next.
func TestBreakerOfKeysThatGo(t *testing.T) {
	b := worker.NewBreaker(slog.New(slog.DiscardHandler))
	ctx := t.Context()
	worker.Leave(b, ctx, key, errGone)
	worker.Leave(b, ctx, other, errGone)
	b.EndPause()
	if err := worker.Enter(b, key); err != nil {
		t.Fatal(err)
	}
	worker.Drop(b, key)
	worker.Leave(b, ctx, key, nil)
	if err := worker.Enter(b, other); err != nil {
		t.Errorf("nobody may look for the token any more: %v", err)
	}
}
