package server

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"

	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

// public gives what is known of a key pair, and looks for it where nothing is.
func (s *Server) public(ctx context.Context, k *managedkey.Key) (*managedkey.Public, error) {
	p := k.Public()
	if p != nil {
		return p, s.notAnothers(k, p)
	}
	// The first requests for a key come together; one of them looks.
	err := k.Look(ctx, func() (err error) {
		if p = k.Public(); p == nil {
			p, err = s.find(ctx, k)
		}
		return err
	})
	return p, err
}

// find asks the backend for the key pair, whatever was known of it. Before a
// key pair is taken for the first time under a name that came over the wire,
// every key on the same token whose name did not is looked for: a name given
// over the wire never signs with a key that hsmd's configuration names.
func (s *Server) find(ctx context.Context, k *managedkey.Key) (*managedkey.Public, error) {
	if k.Copies != nil {
		return s.findCopies(ctx, k)
	}
	if err := s.tell(ctx, k); err != nil {
		return nil, err
	}
	before := k.Public()
	if before == nil {
		if err := s.findProtected(ctx, k); err != nil {
			return nil, err
		}
	}
	told, err := s.ask(ctx, k)
	if err != nil {
		return nil, err
	}
	if before != nil && !bytes.Equal(before.SPKI, told.PublicKey) {
		if err := s.findProtected(ctx, k); err != nil {
			k.Found(nil)
			return nil, err
		}
	}
	return s.found(k, told)
}

// ask has a worker look for a key on its token.
func (s *Server) ask(ctx context.Context, k *managedkey.Key) (*wire.KeyInfo, error) {
	answer, err := k.Library.Backend.Describe(ctx, &wire.DescribeRequest{Key: k.Handle, Find: true})
	if err == nil && len(answer.Keys) != 1 {
		err = wire.Errorf(wire.Internal, "the worker of library %q describes %d keys named %q", k.Library.Name, len(answer.Keys), k.Name())
	}
	if err == nil {
		err = answer.Keys[0].Fault.Err()
	}
	if err == nil && len(answer.Keys[0].PublicKey) == 0 {
		err = wire.Errorf(wire.UnknownKey, "the key of %q does not exist", k.Name())
	}
	if err != nil {
		if isCode(err, wire.UnknownKey) {
			k.Found(nil)
		}
		return nil, s.backendError(ctx, k.Library, err)
	}
	return &answer.Keys[0], nil
}

// found takes a public key over from the backend.
func (s *Server) found(k *managedkey.Key, told *wire.KeyInfo) (*managedkey.Public, error) {
	p, err := managedkey.NewPublic(&k.Definition, told.PublicKey)
	if err == nil {
		err = p.Offered(told.Schemes, told.Hashed)
	}
	if err != nil {
		k.Found(nil)
		return nil, err
	}
	if err := s.notAnothers(k, p); err != nil {
		k.Found(nil)
		return nil, err
	}
	last := k.Last()
	k.Found(p)
	if last == nil || last.ID != p.ID {
		s.warnOfTwoNames(k, p)
	}
	return p, nil
}

// warnOfTwoNames says of a key pair that has just been found that hsmd has it
// under another name too: a client that may use the one may use the pair.
func (s *Server) warnOfTwoNames(k *managedkey.Key, p *managedkey.Public) {
	if k.Source == wire.SourceWire {
		return
	}
	for _, other := range s.state.Load().Keys.All() {
		if known := other.Public(); other.Name() != k.Name() && other.Source != wire.SourceWire && known != nil && known.ID == p.ID {
			s.log.Warn("two names are one key pair", "key", k.Name(), "other", other.Name(), "public_key", hex.EncodeToString(p.ID[:]))
		}
	}
}

// notAnothers refuses a key of the wire that is, by its public key, one that
// hsmd's configuration names or that was made as an internal key. It is asked
// at each use, because that key may have been found later.
func (s *Server) notAnothers(k *managedkey.Key, p *managedkey.Public) error {
	if k.Source != wire.SourceWire {
		return nil
	}
	owner := s.state.Load().owner(p)
	if owner == nil {
		return nil
	}
	s.quiet.warn("a key defined over the wire is another's", "key", k.Name(), "of", owner.Name())
	return wire.Errorf(wire.Denied, "managed key %q is the key that %s names %q", k.Name(), whoDefined(owner), owner.Name())
}

// owner finds a key that is not of the wire by its public key: also one that is
// away just now, since it was that pair.
func (s *State) owner(p *managedkey.Public) *managedkey.Key {
	for _, k := range s.Keys.All() {
		if known := k.Last(); k.Source != wire.SourceWire && known != nil && known.ID == p.ID {
			return k
		}
	}
	return nil
}

func whoDefined(k *managedkey.Key) string {
	if isConfigured(k) {
		return "hsmd's configuration"
	}
	return "hsmd itself"
}

// findProtected has nothing to do for keys that are not of the wire. It checks
// that a key of the wire is on a token that wire_keys
// allows, and looks for the keys there that are not of the wire. Those that do
// not exist yet are no hindrance; where one cannot be looked for, it cannot be
// told whether it is the same key, and the key of the wire has to wait.
func (s *Server) findProtected(ctx context.Context, k *managedkey.Key) error {
	if k.Source != wire.SourceWire {
		return nil
	}
	if k.Definition.AWSKMS != nil {
		return s.findProtectedInAWSKMS(ctx)
	}
	state := s.state.Load()
	token, tokens, err := s.resolve(ctx, k)
	if err != nil {
		return err
	}
	if state.Wire == nil {
		return state.Wire.AllowLibrary(k.Library.Name)
	}
	if err := state.Wire.AllowToken(token.Label); err != nil {
		return err
	}
	for _, other := range state.Keys.All() {
		here := func(place *managedkey.Key) bool {
			t, err := managedkey.ResolveToken(place.Definition.PKCS11, tokens)
			return managedkey.MaybeSameToken(k, place) && err == nil && t.Slot == token.Slot
		}
		if other.Source == wire.SourceWire || other.Public() != nil || !slices.ContainsFunc(other.Places(), here) {
			continue
		}
		if err := s.findOther(ctx, other); err != nil {
			return err
		}
	}
	return nil
}

// findProtectedInAWSKMS looks for the keys in AWS KMS that are not of the wire, in
// whatever region: a multi-Region key is the same key pair in several.
func (s *Server) findProtectedInAWSKMS(ctx context.Context) error {
	for _, other := range s.state.Load().Keys.All() {
		if other.Source == wire.SourceWire || other.Public() != nil || other.Definition.AWSKMS == nil {
			continue
		}
		if err := s.findOther(ctx, other); err != nil {
			return err
		}
	}
	return nil
}

// findOther looks for a key so that another can be told from it.
func (s *Server) findOther(ctx context.Context, other *managedkey.Key) error {
	_, err := s.find(ctx, other)
	if err == nil || isCode(err, wire.UnknownKey) {
		return nil
	}
	e := wire.AsError(err)
	return &wire.Error{Code: e.Code, RetryAfter: e.RetryAfter,
		Message: "cannot tell whether this is the key that " + whoDefined(other) + " names " + other.Name() + ": " + e.Message}
}

// resolve finds the token that a definition selects, without a login.
func (s *Server) resolve(ctx context.Context, k *managedkey.Key) (*wire.TokenStatus, []wire.TokenStatus, error) {
	status, err := k.Library.Backend.Status(ctx, &wire.StatusRequest{})
	if err != nil {
		return nil, nil, err
	}
	var tokens []wire.TokenStatus
	for i := range status.Libraries {
		if err := status.Libraries[i].Fault.Err(); err != nil {
			return nil, nil, err
		}
		tokens = append(tokens, status.Libraries[i].Tokens...)
	}
	token, err := managedkey.ResolveToken(k.Definition.PKCS11, tokens)
	return token, tokens, err
}
