package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/hsmpki/hsmpki/hsmd/grant"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

// Configure defines a key over the wire, as far as wire_keys allows it. The
// token is not touched; the first use does that.
func (c *session) Configure(ctx context.Context, req *wire.ConfigureRequest) (*wire.ConfigureResponse, error) {
	defer c.srv.begin().end()
	if req.Worker != nil {
		return nil, wire.Errorf(wire.Invalid, "what concerns workers is between hsmd and them")
	}
	d := req.Definition
	if _, g := c.now(); !g.Allows(grant.Configure, d.Name) {
		return nil, c.refused(grant.Configure, d.Name)
	}
	if d.PKCS11 != nil {
		own := *d.PKCS11
		d.PKCS11 = &own
	}
	if d.AWSKMS != nil {
		own := *d.AWSKMS
		d.AWSKMS = &own
	}
	managedkey.Normalise(&d)
	if err := managedkey.CheckWire(&d); err != nil {
		return nil, err
	}
	s := c.srv
	if err := s.crowded(); err != nil {
		return nil, err
	}
	if err := s.beginChange(ctx); err != nil {
		return nil, err
	}
	defer s.endChange()

	state := s.state.Load()
	existing := state.Keys.Lookup(d.Name)
	k, err := state.define(&d, existing)
	if err != nil {
		return nil, err
	}
	// Durable before it is in force: an answer that was given is never taken
	// back by a crash.
	if err := s.store.Put(managedkey.Record{Definition: k.Definition, Source: wire.SourceWire}); err != nil {
		return nil, notKept(d.Name, err)
	}
	s.state.Store(state.withKeys(state.Keys.With(k)))
	s.responders.Forget(d.Name)
	if existing != nil {
		s.Afterwards(func() { s.Drop(existing) })
	}
	s.log.Info("defined a managed key", "key", d.Name, "library", k.Library.Name, "uid", c.peer.UID)
	return &wire.ConfigureResponse{UUID: k.Definition.UUID}, nil
}

// define applies the rules to a definition that is sound in itself.
func (s *State) define(d *wire.Definition, existing *managedkey.Key) (*managedkey.Key, error) {
	if existing != nil && isConfigured(existing) {
		return nil, wire.Errorf(wire.Invalid, "managed key %q is defined in hsmd's configuration", d.Name)
	}
	library, err := s.allowed(d)
	if err != nil {
		return nil, err
	}
	if existing == nil {
		if err := s.Wire.AllowCount(s.storedKeys() + 1); err != nil {
			return nil, err
		}
		d.UUID = uuid.NewString()
	} else {
		d.UUID = existing.Definition.UUID
	}
	k := managedkey.NewKey(*d, wire.SourceWire, library)
	for _, other := range s.Keys.All() {
		if other.Source != wire.SourceWire && managedkey.NamesSameKey(k, other) {
			return nil, wire.Errorf(wire.Denied, "managed key %q would be the key that %s names %q", d.Name, whoDefined(other), other.Name())
		}
	}
	return k, nil
}

// allowed gives what is to answer for a definition, as far as wire_keys allows
// it.
func (s *State) allowed(d *wire.Definition) (*managedkey.Library, error) {
	if d.AWSKMS != nil {
		return s.AWSKMS, s.Wire.AllowAWSKMS(d.AWSKMS)
	}
	library := managedkey.FindLibrary(s.Libraries, d.PKCS11.Library)
	if library == nil {
		return nil, wire.Errorf(wire.Invalid, "hsmd knows no kms_library %q", shorten(d.PKCS11.Library))
	}
	d.PKCS11.Library = library.Name
	if err := s.Wire.AllowLibrary(library.Name); err != nil {
		return nil, err
	}
	if d.PKCS11.TokenLabel != "" {
		return library, s.Wire.AllowToken(d.PKCS11.TokenLabel)
	}
	return library, nil
}

// Forget drops a definition that Configure or Generate made. The key in the
// token stays.
func (c *session) Forget(ctx context.Context, req *wire.ForgetRequest) (*wire.ForgetResponse, error) {
	defer c.srv.begin().end()
	s := c.srv
	if err := s.crowded(); err != nil {
		return nil, err
	}
	if err := s.beginChange(ctx); err != nil {
		return nil, err
	}
	defer s.endChange()

	k, err := c.key(grant.Configure, req.Key)
	if err != nil {
		return nil, err
	}
	if isConfigured(k) {
		return nil, wire.Errorf(wire.Invalid, "managed key %q is defined in hsmd's configuration", k.Name())
	}
	if err := s.store.Delete(k.Name()); err != nil {
		return nil, &wire.Error{Code: wire.Unavailable, RetryAfter: stateAgain, Message: fmt.Sprintf("the definition of %q could not be dropped: %v", k.Name(), err)}
	}
	state := s.state.Load()
	s.state.Store(state.withKeys(state.Keys.Without(k.Name())))
	s.superseded(k, nil)
	s.Afterwards(func() { s.Drop(k) })
	s.log.Info("forgot a managed key", "key", k.Name(), "uid", c.peer.UID)
	return &wire.ForgetResponse{}, nil
}

// stateAgain is when a caller may try again after hsmd's state could not be
// written: its disk is full, most likely, which an operator has to see to.
const stateAgain = 10 * time.Second

func notKept(name string, err error) error {
	return &wire.Error{Code: wire.Unavailable, RetryAfter: stateAgain, Message: fmt.Sprintf("the definition of %q could not be kept: %v", name, err)}
}

// beginChange waits for the right to change the state; endChange gives it back.
func (s *Server) beginChange(ctx context.Context) error {
	select {
	case s.changing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return wire.Errorf(wire.Unavailable, "waiting for another definition to be kept: %v", ctx.Err())
	}
}

func (s *Server) endChange() { <-s.changing }
