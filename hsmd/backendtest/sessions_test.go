package backendtest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// sign makes and verifies one P-256 signature.
func sign(ctx context.Context, service wire.Service, name string, spki []byte) error {
	digest, id := sha256.Sum256([]byte(name)), sha256.Sum256(spki)
	answer, err := service.Sign(ctx, &wire.SignRequest{Key: name, SPKI: id[:], Scheme: wire.ECDSAP256SHA256, Digest: digest[:]})
	if err != nil {
		return err
	}
	public, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return err
	}
	if !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), digest[:], answer.Signature) {
		return errors.New("the signature does not verify")
	}
	return nil
}

// TestCase19_MoreCallersThanSessions: with two sessions everybody is served, or told
// to come again.
func TestCase19_MoreCallersThanSessions(t *testing.T) {
	token := softhsm.New(t)
	service := child(t, token.Env()...)
	config := worker(token.Library)
	config.MaxSessions = 2
	if _, err := service.Configure(t.Context(), &wire.ConfigureRequest{Definition: p256(token, "key", token.PIN), Worker: config}); err != nil {
		t.Fatal(err)
	}
	made, err := service.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var served, busy atomic.Int64
	atOnce(200, func(int) {
		switch err := sign(t.Context(), service, "key", made.Key.PublicKey); {
		case err == nil:
			served.Add(1)
		case errors.Is(err, wire.Busy) && wire.AsError(err).RetryAfter > 0:
			busy.Add(1)
		default:
			t.Error(err)
		}
	})
	if served.Load() < 80 {
		t.Errorf("%d were served and %d told to come again", served.Load(), busy.Load())
	}
	if err := sign(t.Context(), service, "key", made.Key.PublicKey); err != nil {
		t.Errorf("after the rush: %v", err)
	}
}

// TestGivingUpIsNoFault: a caller whose time is up while others have all the
// sessions is told that, and the session is there for the next.
func TestGivingUpIsNoFault(t *testing.T) {
	token := softhsm.New(t)
	service := child(t, token.Env()...)
	if _, err := service.Configure(t.Context(), &wire.ConfigureRequest{Definition: p256(token, "key", token.PIN), Worker: worker(token.Library)}); err != nil {
		t.Fatal(err)
	}
	made, err := service.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	atOnce(64, func(int) {
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Millisecond)
			err := sign(ctx, service, "key", made.Key.PublicKey)
			cancel()
			if err != nil && !errors.Is(err, wire.Unavailable) && !errors.Is(err, wire.Busy) {
				t.Error(err)
				return
			}
		}
	})
	if err := sign(t.Context(), service, "key", made.Key.PublicKey); err != nil {
		t.Errorf("after all gave up: %v", err)
	}
}
