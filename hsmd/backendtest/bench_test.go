package backendtest_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/hsmd/pkcs11"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// BenchmarkSign is P-256 in one process: through the service, and by the bare
// library with a session for each caller.
func BenchmarkSign(b *testing.B) {
	token := softhsm.New(b)
	b.Setenv("SOFTHSM2_CONF", token.Conf)
	service := pkcs11.New(slog.New(slog.DiscardHandler))
	defer service.Close(true)
	if _, err := service.Configure(b.Context(), &wire.ConfigureRequest{Definition: p256(token, "key", token.PIN), Worker: worker(token.Library)}); err != nil {
		b.Fatal(err)
	}
	made, err := service.Generate(b.Context(), &wire.GenerateRequest{Key: "key", ID: "x"})
	if err != nil {
		b.Fatal(err)
	}
	digest, id := sha256.Sum256([]byte("bench")), sha256.Sum256(made.Key.PublicKey)
	request := &wire.SignRequest{Key: "key", SPKI: id[:], Scheme: wire.ECDSAP256SHA256, Digest: digest[:]}
	for _, callers := range []int{1, 8} {
		b.Run(fmt.Sprintf("service/callers=%d", callers), func(b *testing.B) {
			spread(b, callers, func() func() error {
				return func() error { _, err := service.Sign(context.Background(), request); return err }
			})
		})
		b.Run(fmt.Sprintf("library/callers=%d", callers), func(b *testing.B) {
			spread(b, callers, func() func() error { return bare(b, token, digest[:]) })
		})
	}
}

// spread shares b.N calls among callers, each with a call of its own.
func spread(b *testing.B, callers int, make func() func() error) {
	var running sync.WaitGroup
	calls := []func() error{}
	for range callers {
		calls = append(calls, make())
	}
	b.ResetTimer()
	for i, call := range calls {
		running.Go(func() {
			for n := i; n < b.N; n += callers {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "signatures/s")
}

// bare signs in a session of its own; login and library are the service's, for
// both belong to the process.
func bare(b *testing.B, token *softhsm.Token, digest []byte) func() error {
	b.Helper()
	library := p11.New(token.Library)
	session, err := library.OpenSession(uint(token.Slot), p11.CKF_SERIAL_SESSION)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = library.CloseSession(session) })
	if err := library.FindObjectsInit(session, []*p11.Attribute{p11.NewAttribute(p11.CKA_CLASS, p11.CKO_PRIVATE_KEY)}); err != nil {
		b.Fatal(err)
	}
	keys, _, err := library.FindObjects(session, 1)
	if err != nil || len(keys) != 1 {
		b.Fatalf("the key: %v, %v", keys, err)
	}
	if err := library.FindObjectsFinal(session); err != nil {
		b.Fatal(err)
	}
	return func() error {
		if err := library.SignInit(session, []*p11.Mechanism{p11.NewMechanism(p11.CKM_ECDSA, nil)}, keys[0]); err != nil {
			return err
		}
		_, err := library.Sign(session, digest)
		return err
	}
}
