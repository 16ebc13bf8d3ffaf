package server

import (
	"context"
	"encoding/hex"

	"github.com/hsmpki/hsmpki/hsmd/grant"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

// Generate makes the key of a definition, or a key that hsmd names. It is safe
// to repeat: a key that is there already is the answer, and is never replaced.
func (c *session) Generate(ctx context.Context, req *wire.GenerateRequest) (*wire.GenerateResponse, error) {
	defer c.srv.begin().end()
	if !soundID(req.ID) {
		return nil, wire.Errorf(wire.Invalid, "the id of a generate request must be 1 to 64 of a-z, 0-9 and '-'")
	}
	if req.Responder {
		return c.makeResponder(ctx, req)
	}
	k, err := c.toGenerate(ctx, req)
	if err != nil {
		return nil, err
	}
	var answer *wire.GenerateResponse
	err = k.Look(ctx, func() error {
		answer, err = c.findOrGenerate(ctx, k, req)
		return err
	})
	return answer, err
}

// findOrGenerate looks before it makes: an earlier request may have ended
// without its sender hearing of it.
func (c *session) findOrGenerate(ctx context.Context, k *managedkey.Key, req *wire.GenerateRequest) (*wire.GenerateResponse, error) {
	s := c.srv
	public, err := s.find(ctx, k)
	if err == nil {
		return &wire.GenerateResponse{Key: info(k, public, nil)}, nil
	}
	if !isCode(err, wire.UnknownKey) {
		return nil, err
	}
	if !k.Definition.AllowGenerateKey {
		return nil, wire.Errorf(wire.Denied, "the key of %q does not exist, and its definition has no allow_generate_key", k.Name())
	}
	first := k.Places()[0]
	answer, err := k.Library.Backend.Generate(ctx, &wire.GenerateRequest{Key: first.Handle, ID: req.ID, Context: req.Context})
	if err != nil {
		return nil, s.backendError(ctx, k.Library, err)
	}
	if first == k {
		public, err = s.found(k, &answer.Key)
	} else {
		public, err = s.find(ctx, k)
	}
	if err != nil {
		return nil, err
	}
	s.log.Info("generated a key", "key", k.Name(), "uid", c.peer.UID, "created", answer.Created, "public_key", hex.EncodeToString(public.ID[:]), "context", shorten(req.Context))
	return &wire.GenerateResponse{Key: info(k, public, nil), Created: answer.Created}, nil
}

// toGenerate finds the key that a request is about.
func (c *session) toGenerate(ctx context.Context, req *wire.GenerateRequest) (*managedkey.Key, error) {
	if req.Key == "" {
		return c.internal(ctx, req)
	}
	if req.Type != "" {
		return nil, wire.Errorf(wire.Invalid, "the type of a managed key's key is its definition's")
	}
	return c.key(grant.Generate, req.Key)
}

// internal gives the definition of a key that hsmd names, and keeps a new one
// before there is a key: after a crash in between, the same id finds both.
func (c *session) internal(ctx context.Context, req *wire.GenerateRequest) (*managedkey.Key, error) {
	s := c.srv
	if _, g := c.now(); !g.Has(grant.Generate) {
		return nil, c.refused(grant.Generate, managedkey.InternalPrefix+req.ID)
	}
	if err := s.beginChange(ctx); err != nil {
		return nil, err
	}
	defer s.endChange()

	state := s.state.Load()
	if state.Internal == nil || state.Wire == nil {
		return nil, wire.Errorf(wire.Denied, "hsmd's configuration has no internal_keys and wire_keys blocks, so it makes no keys of its own")
	}
	d, err := state.Internal.Definition(req.ID, req.Type)
	if err != nil {
		return nil, err
	}
	if existing := state.Keys.Lookup(d.Name); existing != nil {
		return existing, c.sameInternal(existing, &d)
	}
	if err := state.Wire.AllowCount(state.storedKeys() + 1); err != nil {
		return nil, err
	}
	library := managedkey.FindLibrary(state.Libraries, d.PKCS11.Library)
	if library == nil {
		return nil, wire.Errorf(wire.Invalid, "hsmd knows no kms_library %q", d.PKCS11.Library)
	}
	k := managedkey.NewKey(d, wire.SourceInternal, library)
	k.Owner = c.peer.UID
	if err := s.store.Put(managedkey.Record{Definition: k.Shown(), Source: wire.SourceInternal, Owner: k.Owner}); err != nil {
		return nil, notKept(d.Name, err)
	}
	s.state.Store(state.withKeys(state.Keys.With(k)))
	return k, nil
}

// sameInternal checks that a repeated request means the key that is there.
func (c *session) sameInternal(existing *managedkey.Key, d *wire.Definition) error {
	if _, g := c.now(); existing.Owner != c.peer.UID && !g.Allows(grant.Generate, existing.Name()) {
		return c.refused(grant.Generate, existing.Name())
	}
	p, q := existing.Definition.PKCS11, d.PKCS11
	if existing.Source != wire.SourceInternal || p.Mechanism != q.Mechanism || p.KeyBits != q.KeyBits || p.Curve != q.Curve {
		return wire.Errorf(wire.Invalid, "the id is that of another key, %q", existing.Name())
	}
	return nil
}

func soundID(id string) bool {
	for _, c := range []byte(id) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return id != "" && len(id) <= 64
}
