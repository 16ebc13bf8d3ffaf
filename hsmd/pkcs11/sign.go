//go:build cgo

package pkcs11

import (
	"context"
	"crypto/ecdsa"
	"sync"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"

	"crypto/subtle"
	"io"
)

// maxMessage bounds a message that is signed whole, as hsmd's own limit does.
const maxMessage = 16 << 20

var buffers = sync.Pool{New: func() any { return new([maxSignature]byte) }}

// Sign implements [wire.Service].
func (s *Service) Sign(ctx context.Context, req *wire.SignRequest) (*wire.SignResponse, error) {
	k, err := s.lookup(req.Key)
	if err != nil {
		return nil, err
	}
	return s.sign(ctx, k, req)
}

// sign signs with a key, whatever the request calls it. A session or login that
// was lost under it is made up for once.
func (s *Service) sign(ctx context.Context, k *key, req *wire.SignRequest) (*wire.SignResponse, error) {
	if err := gather(req); err != nil {
		return nil, err
	}
	mech, data, err := input(req)
	if err != nil {
		return nil, err
	}
	if uint64(mech.id) != k.definition.PKCS11.Mechanism {
		return nil, wire.Errorf(wire.Invalid, "managed key %q has mechanism 0x%04x, which does not make %s", k.definition.Name, k.definition.PKCS11.Mechanism, req.Scheme)
	}
	if k.running != nil {
		select {
		case k.running <- struct{}{}:
			defer func() { <-k.running }()
		case <-ctx.Done():
			return nil, gaveUp(ctx)
		}
	}
	for attempt := 0; ; attempt++ {
		f, err := s.look(ctx, k)
		if err != nil {
			return nil, err
		}
		if subtle.ConstantTimeCompare(req.SPKI, f.id[:]) != 1 {
			return nil, wire.Errorf(wire.KeyChanged, "managed key %q is not the key pair that was asked for", k.definition.Name)
		}
		if !f.signs(req.Scheme) {
			return nil, wire.Errorf(wire.Invalid, "managed key %q is on a curve that %s is not for", k.definition.Name, req.Scheme)
		}
		signature, call, err := f.sign(ctx, mech, data)
		if err == nil {
			return &wire.SignResponse{Signature: signature}, nil
		}
		if attempt > 0 || ctx.Err() != nil || !s.recover(k, f, err) {
			return nil, f.token.module.failure(call, f.token.String(), err)
		}
	}
}

// signs reports whether a scheme of the key's mechanism is for its curve. RSA
// keys and Ed25519 take all schemes of their mechanism.
func (f *found) signs(scheme wire.SignatureScheme) bool {
	if _, ok := f.public.(*ecdsa.PublicKey); !ok {
		return true
	}
	own, err := schemeFor(p11.CKM_ECDSA, f.public)
	return err == nil && own == scheme
}

// recover climbs the first rungs: the handle is looked up again, the session
// replaced, the login made anew.
func (s *Service) recover(k *key, f *found, err error) bool {
	if isStale(err) {
		k.stale(f)
		return true
	}
	if !s.again(f.token, f.generation, err) {
		return false
	}
	k.stale(f)
	return true
}

// sign makes one signature in a session of its own.
func (f *found) sign(ctx context.Context, mech mechanism, data []byte) (signature []byte, call string, err error) {
	buffer := buffers.Get().(*[maxSignature]byte)
	defer buffers.Put(buffer)
	call = "C_OpenSession"
	err = f.token.sessions.use(ctx, func(session p11.SessionHandle) error {
		var n int
		var err error
		if n, call, err = f.token.module.sign(session, f.handle, mech, data, buffer[:]); err != nil {
			return err
		}
		signature, err = x509Form(f.public, buffer[:n])
		return err
	})
	return signature, call, err
}

// gather takes a message that came in parts together.
func gather(req *wire.SignRequest) error {
	if req.Parts == nil {
		return nil
	}
	message, err := io.ReadAll(io.LimitReader(req.Parts, maxMessage+1))
	if err != nil {
		return err
	}
	if len(message) > maxMessage {
		return wire.Errorf(wire.Invalid, "a message of more than %d octets", maxMessage)
	}
	req.Message, req.Parts = message, nil
	return nil
}
