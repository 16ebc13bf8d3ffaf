//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"sync"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
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

// sign signs with a key. A session, handle or login that was lost under it is
// made up for, unless a part of the message is used up by then.
func (s *Service) sign(ctx context.Context, k *key, req *wire.SignRequest) (*wire.SignResponse, error) {
	if err := check(req); err != nil {
		return nil, err
	}
	if k.running != nil {
		select {
		case k.running <- struct{}{}:
			defer func() { <-k.running }()
		case <-ctx.Done():
			return nil, gaveUp(ctx)
		}
	}
	var ladder climb
	for {
		f, err := s.look(ctx, k)
		if err != nil {
			return nil, err
		}
		if subtle.ConstantTimeCompare(req.SPKI, f.id[:]) != 1 {
			return nil, wire.Errorf(wire.KeyChanged, "managed key %q is not the key pair that was asked for", k.definition.Name)
		}
		mech, ok := f.ways[req.Scheme]
		if !ok {
			return nil, wire.Errorf(wire.Invalid, "managed key %q, of mechanism 0x%04x, does not sign with %s", k.definition.Name, k.definition.PKCS11.Mechanism, req.Scheme)
		}
		signature, call, err := s.signOnce(ctx, k, f, mech, req)
		if err == nil {
			return &wire.SignResponse{Signature: signature}, nil
		}
		if isRefusal(err) {
			k.found.CompareAndSwap(f, nil) // the ways to sign are found anew
		}
		if ctx.Err() != nil || req.Parts != nil && call != beginning || !ladder.next(f.token, f.generation, err) {
			return nil, f.token.module.failure(call, f.token.String(), err)
		}
		// With a session the handle may be gone as well, and be another key's now.
		k.stale(f)
	}
}

// beginning is the call before which nothing of a message has been read.
const beginning = "C_SignInit"

// signOnce makes one signature in a session of its own. A message in parts goes
// to the token as it comes where the token hashes it, and can.
func (s *Service) signOnce(ctx context.Context, k *key, f *found, mech mechanism, req *wire.SignRequest) (signature []byte, call string, err error) {
	if req.Parts != nil && mech.hashes {
		signature, call, err = s.signStream(ctx, k, f, mech, req)
		if !errors.Is(err, errNoParts) {
			return signature, call, err
		}
	}
	if req.Parts != nil {
		if err := gather(req); err != nil {
			return nil, "", err
		}
	}
	data, err := mech.input(req)
	if err != nil {
		return nil, "", err
	}
	call = "C_OpenSession"
	wire.StepsOf(ctx).Next("session")
	err = f.token.sessions.use(ctx, func(session p11.SessionHandle) error {
		signature, call, err = s.signIn(ctx, session, k, f, mech, data)
		return err
	})
	if mech.hashes && isCKR(err, p11.CKR_DATA_LEN_RANGE) { // too long for one call
		return s.signStream(ctx, k, f, mech, &wire.SignRequest{Parts: bytes.NewReader(data)})
	}
	return signature, call, err
}

// errNoParts is the failure of a token that takes no message in parts. What was
// read of it is put back.
var errNoParts = errors.New("the token takes no message in parts")

func (s *Service) signStream(ctx context.Context, k *key, f *found, mech mechanism, req *wire.SignRequest) (signature []byte, call string, err error) {
	call = beginning
	wire.StepsOf(ctx).Next("session")
	err = f.token.sessions.use(ctx, func(session p11.SessionHandle) error {
		signature, call, err = s.signParts(ctx, session, k, f, mech, req)
		return err
	})
	return signature, call, err
}

// signIn makes one signature in a session.
func (s *Service) signIn(ctx context.Context, session p11.SessionHandle, k *key, f *found, mech mechanism, data []byte) (signature []byte, call string, err error) {
	buffer := buffers.Get().(*[maxSignature]byte)
	defer buffers.Put(buffer)
	wire.StepsOf(ctx).Next("C_Sign")
	var n int
	if f.wantsPIN {
		var end func()
		if end, err = s.begin(ctx, session, k, f, mech); err != nil {
			return nil, beginning, err
		}
		defer end()
		call = "C_Sign"
		n, err = f.token.module.signData(session, data, buffer[:])
	} else {
		n, call, err = f.token.module.sign(session, f.handle, mech, data, buffer[:])
	}
	if err == nil {
		signature, err = x509Form(f.public, buffer[:n])
	}
	return signature, call, err
}

// signParts has the token hash a message as it comes, in constant memory.
func (s *Service) signParts(ctx context.Context, session p11.SessionHandle, k *key, f *found, mech mechanism, req *wire.SignRequest) (signature []byte, call string, err error) {
	wire.StepsOf(ctx).Next("C_SignUpdate")
	end, err := s.begin(ctx, session, k, f, mech)
	if err != nil {
		return nil, beginning, err
	}
	defer end()
	part := make([]byte, wire.MaxPart)
	for first := true; ; first = false {
		n, err := io.ReadFull(req.Parts, part)
		if n > 0 {
			err := f.token.module.SignUpdate(session, part[:n])
			if first && isCKR(err, p11.CKR_FUNCTION_NOT_SUPPORTED) {
				req.Parts = io.MultiReader(bytes.NewReader(part[:n]), req.Parts)
				return nil, "C_SignUpdate", errNoParts
			}
			if err != nil {
				return nil, "C_SignUpdate", err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, "", err
		}
	}
	var buffer [maxSignature]byte
	n, err := f.token.module.signFinal(session, buffer[:])
	if err == nil {
		signature, err = x509Form(f.public, buffer[:n])
	}
	return signature, "C_SignFinal", err
}

// begin is C_SignInit and, for a key that wants it, the PIN. Signatures with such
// a key are made one after the other, up to the call of end: to some tokens a PIN
// is good for the next signature, whosever that is.
func (s *Service) begin(ctx context.Context, session p11.SessionHandle, k *key, f *found, mech mechanism) (end func(), err error) {
	if !f.wantsPIN {
		return func() {}, f.token.module.signInit(session, f.handle, mech)
	}
	select {
	case f.token.asking <- struct{}{}:
	case <-ctx.Done():
		return nil, gaveUp(ctx)
	}
	end = func() { <-f.token.asking }
	if err = f.token.module.signInit(session, f.handle, mech); err == nil {
		err = s.wantsPIN(session, f.token, k)
	}
	if err != nil {
		end()
	}
	return end, err
}

// gather takes a message that came in parts together.
func gather(req *wire.SignRequest) error {
	message, err := io.ReadAll(io.LimitReader(req.Parts, maxMessage+1))
	if err != nil {
		return err
	}
	if len(message) > maxMessage {
		return wire.Errorf(wire.Invalid, "a message of more than %d octets", maxMessage)
	}
	req.Message, req.Parts = message, nil
	return check(req)
}
