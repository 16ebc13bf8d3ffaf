package awskms_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/awskms"
	"github.com/hsmpki/hsmpki/test/fakekms"
	"github.com/hsmpki/hsmpki/wire"
)

func (b *bench) forget(name string) {
	b.Helper()
	if _, err := b.service.Forget(b.Context(), &wire.ForgetRequest{Key: name}); err != nil {
		b.Fatal(err)
	}
}

// TestForgottenWhileLost: whoever drops a definition, and makes it again, does not
// get a second key while it is not known whether there is a first.
func TestForgottenWhileLost(t *testing.T) {
	b := newBench(t, awskms.Config{})
	b.kms.Settle(time.Minute)
	b.kms.Lose("CreateKey", 1)
	for range 3 {
		b.define("k", "ECDSA", nil)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := b.generate(ctx, "k")
		cancel()
		b.want("an answer was lost", err, wire.Unavailable)
		b.forget("k")
	}
	if n := len(b.kms.Keys()); n != 1 {
		t.Errorf("%d keys were made", n)
	}
}

// TestMadeAndNotShown: the key was made, and whoever asked for it did not wait
// until KMS showed it. Whoever asks again gets the same.
func TestMadeAndNotShown(t *testing.T) {
	b := newBench(t, awskms.Config{})
	b.kms.Settle(3 * time.Second)
	b.define("k", "ECDSA", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	_, err := b.generate(ctx, "k")
	cancel()
	if err == nil || !wire.AsError(err).Code.Retryable() {
		t.Errorf("at once: %v", err)
	}
	if _, err := b.generate(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if n := len(b.kms.Keys()); n != 1 {
		t.Errorf("%d keys were made", n)
	}
}

// TestCapBeforeKMSKnows: keys that KMS does not list yet count too, though their
// definitions are gone.
func TestCapBeforeKMSKnows(t *testing.T) {
	b := newBench(t, awskms.Config{Creations: 2})
	b.kms.Settle(time.Minute)
	for i := range 4 {
		name := fmt.Sprintf("k%d", i)
		b.define(name, "ECDSA", nil)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := b.generate(ctx, name)
		cancel()
		if i >= 2 {
			b.want(name, err, wire.Busy, "2 keys were made")
		} else if !wire.AsError(err).Code.Retryable() {
			t.Errorf("%s: %v", name, err)
		}
		b.forget(name)
	}
	if n := len(b.kms.Keys()); n != 2 {
		t.Errorf("%d keys were made", n)
	}
}

// TestWireDoesNotSlowDown: a definition that came over the wire does not say how
// fast the keys of hsmd's file sign.
func TestWireDoesNotSlowDown(t *testing.T) {
	b := newBench(t, awskms.Config{})
	key := b.kms.MakeKey("ECC_NIST_P256", "alias/k")
	b.define("k", "ECDSA", nil)
	d := b.find("k").Definition
	d.Name, d.AWSKMS.RequestsPerSecond = "slow", 1
	d.AWSKMS.AccessKey, d.AWSKMS.SecretKey = fakekms.AccessKey, fakekms.SecretKey
	if _, err := b.service.Configure(t.Context(), &wire.ConfigureRequest{Definition: d, Worker: &wire.WorkerConfig{FromWire: true}}); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := b.sign(t.Context(), "k", key.SPKI, wire.ECDSAP256SHA256, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
}
