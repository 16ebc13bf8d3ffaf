//go:build cgo

package pkcs11

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// key is a definition and what has been found for it. A new definition of the
// same name is a new key.
type key struct {
	definition wire.Definition // with the PIN
	worker     wire.WorkerConfig

	looking chan struct{} // taken by whoever looks it up
	found   atomic.Pointer[found]
	running chan struct{} // max_parallel; nil: no bound

	refused []uint // mechanisms that the token refused when they were tried; whoever looks has it
}

// found is a key pair on a token. The handle is good for one login.
type found struct {
	token      *token
	handle     p11.ObjectHandle
	generation int
	public     crypto.PublicKey
	spki       []byte
	id         [sha256.Size]byte // of the spki
	ways       map[wire.SignatureScheme]mechanism
	wantsPIN   bool // for each signature
}

func newKey(d wire.Definition, w wire.WorkerConfig) *key {
	k := &key{definition: d, worker: w, looking: make(chan struct{}, 1)}
	if n := d.PKCS11.MaxParallel; n > 0 {
		k.running = make(chan struct{}, n)
	}
	return k
}

// look gives the key pair, from the cache while its login lasts. Many who need
// it at once look once.
func (s *Service) look(ctx context.Context, k *key) (*found, error) {
	if f := k.found.Load(); f != nil && f.generation == f.token.loginGeneration() {
		return f, nil
	}
	select {
	case k.looking <- struct{}{}:
		defer func() { <-k.looking }()
	case <-ctx.Done():
		return nil, gaveUp(ctx)
	}
	before := k.found.Load()
	if before != nil && before.generation == before.token.loginGeneration() {
		return before, nil
	}
	now, err := s.find(ctx, k)
	if err != nil {
		if before != nil && errors.Is(err, wire.UnknownKey) {
			// Some libraries lose sight of a token's objects for good, while the
			// token is well. Only another process can tell.
			err = &wire.Error{Code: wire.Unavailable, RetryAfter: time.Second,
				Message: "it was found before, and is not now: " + wire.AsError(err).Message}
		}
		return nil, err
	}
	// Another key pair may be there now than before: whoever asks for a
	// signature says which he means.
	k.found.Store(now)
	return now, nil
}

// stale drops a handle that the token does not know any more, unless another
// has been found meanwhile. What was found stays known, to compare with.
func (k *key) stale(f *found) {
	old := *f
	old.generation = -1
	k.found.CompareAndSwap(f, &old)
}

// find looks the key up on its token: token, login, private key, public key, and
// a signature that proves that they belong together.
func (s *Service) find(ctx context.Context, k *key) (*found, error) {
	var ladder climb
	for {
		t, err := s.ready(ctx, k)
		if err != nil {
			return nil, err
		}
		f := &found{token: t, generation: t.loginGeneration()}
		err = t.sessions.use(ctx, func(session p11.SessionHandle) error {
			// Without a login the private keys are hidden, not gone.
			var err error
			if _, with := t.state(); with != nil {
				err = t.stillIn(session)
			}
			if err == nil {
				f.handle, err = s.findPrivate(session, t, k)
			}
			if err == nil {
				err = s.identify(ctx, session, k, f)
			}
			return err
		})
		if err == nil {
			return f, nil
		}
		if refused, ok := errors.AsType[*refusedMechanism](err); ok && !slices.Contains(k.refused, refused.ckm) {
			k.refused = append(k.refused, refused.ckm)
			continue
		}
		if ctx.Err() != nil || !ladder.next(t, f.generation, err) {
			return nil, t.module.failure("looking for the key", t.String(), err)
		}
	}
}

// ready gives the token of a definition, logged in.
func (s *Service) ready(ctx context.Context, k *key) (*token, error) {
	m, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	t, err := s.selectToken(m, k.definition.PKCS11)
	if err != nil {
		return nil, err
	}
	if k.definition.PKCS11.ForceRWSession {
		t.sessions.writable()
	}
	return t, s.login(ctx, t, k)
}
