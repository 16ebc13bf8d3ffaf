package awskms_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/awskms"
	"github.com/hsmpki/hsmpki/test/fakekms"
	"github.com/hsmpki/hsmpki/test/secret"
	"github.com/hsmpki/hsmpki/wire"
)

// bench is a backend with a KMS of its own, and what it logged.
type bench struct {
	*testing.T
	kms     *fakekms.Server
	service *awskms.Service
	log     *secret.Log
}

func newBench(t *testing.T, c awskms.Config) *bench {
	b := &bench{T: t, kms: fakekms.Start(t), log: secret.NewLog(t, "hsmd")}
	c.Log = slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.service = awskms.New(c)
	return b
}

// define defines a key behind an alias of its name.
func (b *bench) define(name, keyType string, change func(*wire.AWSKMSDefinition)) {
	b.Helper()
	d := wire.Definition{Type: "awskms", Name: name, AllowGenerateKey: true, AWSKMS: &wire.AWSKMSDefinition{AccessKey: fakekms.AccessKey,
		SecretKey: fakekms.SecretKey, Region: fakekms.Region, Endpoint: b.kms.URL, KMSKey: "alias/" + name, KeyType: keyType}}
	if keyType == "ECDSA" {
		d.AWSKMS.Curve = "P256"
	}
	if change != nil {
		change(d.AWSKMS)
	}
	if _, err := b.service.Configure(b.Context(), &wire.ConfigureRequest{Definition: d}); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) generate(ctx context.Context, name string) (*wire.GenerateResponse, error) {
	return b.service.Generate(ctx, &wire.GenerateRequest{Key: name, ID: "test"})
}

// find asks KMS for the key.
func (b *bench) find(name string) *wire.KeyInfo {
	b.Helper()
	answer, err := b.service.Describe(b.Context(), &wire.DescribeRequest{Key: name, Find: true})
	if err != nil {
		b.Fatal(err)
	}
	return &answer.Keys[0]
}

func (b *bench) sign(ctx context.Context, name string, spki []byte, scheme wire.SignatureScheme, message []byte) ([]byte, error) {
	id := sha256.Sum256(spki)
	req := &wire.SignRequest{Key: name, SPKI: id[:], Scheme: scheme, Message: message, Context: "pki/ request-1"}
	if hash := scheme.Hash(); hash != 0 {
		h := hash.New()
		h.Write(message)
		req.Message, req.Digest = nil, h.Sum(nil)
	}
	answer, err := b.service.Sign(ctx, req)
	if err != nil {
		return nil, err
	}
	return answer.Signature, nil
}

// want checks a failure's code and that its text says the words.
func (b *bench) want(what string, err error, code wire.Code, words ...string) {
	b.Helper()
	failure, ok := errors.AsType[*wire.Error](err)
	if !ok || failure.Code != code {
		b.Errorf("%s: got %v, want %v", what, err, code)
		return
	}
	for _, word := range words {
		if !strings.Contains(failure.Message, word) {
			b.Errorf("%s: %q does not say %q", what, failure.Message, word)
		}
	}
	if strings.Contains(failure.Message, fakekms.SecretKey) || strings.Contains(failure.Message, fakekms.AccessKey) {
		b.Errorf("%s: a credential is in %q", what, failure.Message)
	}
}

// TestCase44_Throttling: ten callers ask as fast as they can, at twice what the
// account allows. All get signatures or are told to come again, and few requests
// are sent that KMS refuses.
func TestCase44_Throttling(t *testing.T) {
	b := newBench(t, awskms.Config{})
	const quota = 50
	b.define("k", "ECDSA", func(d *wire.AWSKMSDefinition) { d.RequestsPerSecond = 2 * quota })
	made, err := b.generate(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	b.kms.Quota("Sign", quota)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var mu sync.Mutex
	signed, busy := 0, 0
	var callers sync.WaitGroup
	for range 10 {
		callers.Go(func() {
			for ctx.Err() == nil {
				_, err := b.sign(t.Context(), "k", made.Key.PublicKey, wire.ECDSAP256SHA256, []byte("x"))
				mu.Lock()
				switch failure, _ := errors.AsType[*wire.Error](err); {
				case err == nil:
					signed++
				case failure.Code == wire.Busy && failure.RetryAfter > 0:
					busy++
				default:
					t.Errorf("%v", err)
				}
				mu.Unlock()
			}
		})
	}
	callers.Wait()
	asked := b.kms.Count("Sign")
	t.Logf("%d signed, %d told to come again, %d requests", signed, busy, asked)
	if signed < quota || asked > 8*quota {
		t.Errorf("%d signed with %d requests", signed, asked)
	}
}

// TestCase45_OneGetPublicKey: KMS is asked for the public key once.
func TestCase45_OneGetPublicKey(t *testing.T) {
	b := newBench(t, awskms.Config{})
	b.define("k", "ECDSA", func(d *wire.AWSKMSDefinition) { d.RequestsPerSecond = 1_000_000 })
	made, err := b.generate(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			for range 500 {
				if _, err := b.sign(t.Context(), "k", made.Key.PublicKey, wire.ECDSAP256SHA256, []byte("x")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
	if got := b.kms.Count("GetPublicKey"); got != 1 || b.kms.Count("Sign") != 10_000 {
		t.Errorf("%d times GetPublicKey for %d signatures", got, b.kms.Count("Sign"))
	}
}

// TestCase46_LostCreateKey: the answer to CreateKey, or to CreateAlias, is lost,
// or breaks off, and the key is not seen at once. There is one key in the end,
// whoever asks again and however often.
func TestCase46_LostCreateKey(t *testing.T) {
	for name, lose := range map[string]func(*fakekms.Server){
		"CreateKey":        func(kms *fakekms.Server) { kms.Lose("CreateKey", 1) },
		"CreateAlias":      func(kms *fakekms.Server) { kms.Lose("CreateAlias", 1) },
		"CreateKey broken": func(kms *fakekms.Server) { kms.Break("CreateKey", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, awskms.Config{})
			b.define("k", "ECDSA", nil)
			lose(b.kms)
			b.kms.Settle(300 * time.Millisecond)
			first, err := b.generate(t.Context(), "k")
			if err != nil {
				t.Fatal(err)
			}
			again, err := b.generate(t.Context(), "k")
			if err != nil || again.Created || !bytes.Equal(again.Key.PublicKey, first.Key.PublicKey) {
				t.Errorf("again: %+v, %v", again, err)
			}
			if n := len(b.kms.Keys()); n != 1 || b.kms.Count("CreateKey") != 1 {
				t.Errorf("%d keys", n)
			}
		})
	}
}

// TestCase46_LostAndLate: the answer is lost, and the key is not seen for a
// while; the caller goes away meanwhile, and hsmd is started anew.
func TestCase46_LostAndLate(t *testing.T) {
	b := newBench(t, awskms.Config{})
	b.define("k", "ECDSA", nil)
	b.kms.Lose("CreateKey", 1)
	b.kms.Settle(2 * time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := b.generate(ctx, "k")
	b.want("the answer is lost", err, wire.Unavailable, "not known yet")
	_, err = b.generate(ctx, "k")
	b.want("at once again", err, wire.Unavailable)
	time.Sleep(2 * time.Second) // as long as the key is not seen
	b.service = awskms.New(awskms.Config{Log: slog.New(slog.DiscardHandler)})
	b.define("k", "ECDSA", nil)
	if _, err := b.generate(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if n := len(b.kms.Keys()); n != 1 {
		t.Errorf("%d keys", n)
	}
}

// TestCase46_CreationsAreCapped: however often hsmd is started, an hour has so
// many keys and no more.
func TestCase46_CreationsAreCapped(t *testing.T) {
	b := newBench(t, awskms.Config{})
	for i := range 4 {
		b.service = awskms.New(awskms.Config{Log: slog.New(slog.DiscardHandler), Creations: 3})
		name := string(rune('a' + i))
		b.define(name, "ECDSA", nil)
		_, err := b.generate(t.Context(), name)
		if i < 3 && err != nil {
			t.Error(err)
		}
		if i == 3 {
			b.want("the fourth", err, wire.Busy, "within an hour")
		}
	}
	if n := len(b.kms.Keys()); n != 3 {
		t.Errorf("%d keys", n)
	}
}

// TestCase47_NotFoundAfterCreateKey: what KMS does not show yet is waited for.
func TestCase47_NotFoundAfterCreateKey(t *testing.T) {
	b := newBench(t, awskms.Config{})
	b.kms.Settle(2 * time.Second)
	b.define("k", "ECDSA", nil)
	made, err := b.generate(t.Context(), "k")
	if err != nil || !made.Created {
		t.Fatal(made, err)
	}
	if _, err := b.sign(t.Context(), "k", made.Key.PublicKey, wire.ECDSAP256SHA256, []byte("x")); err != nil {
		t.Error(err)
	}
	if n := len(b.kms.Keys()); n != 1 {
		t.Errorf("%d keys", n)
	}
}

// TestCase48_AliasMoved: the alias points to another key by now. The signature is
// refused, and is not made with either key.
func TestCase48_AliasMoved(t *testing.T) {
	b := newBench(t, awskms.Config{Recheck: time.Nanosecond})
	first := b.kms.MakeKey("ECC_NIST_P256", "alias/k")
	b.define("k", "ECDSA", nil)
	if _, err := b.sign(t.Context(), "k", first.SPKI, wire.ECDSAP256SHA256, []byte("x")); err != nil {
		t.Fatal(err)
	}
	b.kms.MoveAlias("alias/k", b.kms.MakeKey("ECC_NIST_P256", "").ARN)
	_, err := b.sign(t.Context(), "k", first.SPKI, wire.ECDSAP256SHA256, []byte("x"))
	b.want("moved", err, wire.KeyChanged, "public key changed")
	if b.kms.Count("Sign") != 1 || !strings.Contains(b.log.String(), "points to another key") {
		t.Errorf("%d signatures; log: %s", b.kms.Count("Sign"), b.log)
	}
}

// TestCase48_SignsByARN: until the move is noticed the key signs that was found.
func TestCase48_SignsByARN(t *testing.T) {
	b := newBench(t, awskms.Config{Recheck: time.Hour})
	first := b.kms.MakeKey("ECC_NIST_P256", "alias/k")
	b.define("k", "ECDSA", nil)
	b.find("k")
	b.kms.MoveAlias("alias/k", b.kms.MakeKey("ECC_NIST_P256", "").ARN)
	signature, err := b.sign(t.Context(), "k", first.SPKI, wire.ECDSAP256SHA256, []byte("x"))
	if err != nil || !verified(t, first.SPKI, wire.ECDSAP256SHA256, []byte("x"), signature) {
		t.Errorf("not signed by the first key: %v", err)
	}
}
