package server

import (
	"context"
	"encoding/hex"

	"github.com/hsmpki/hsmpki/hsmd/grant"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/responder"
	"github.com/hsmpki/hsmpki/hsmd/tbs"
	"github.com/hsmpki/hsmpki/wire"
)

// makeResponder answers the key of a managed key's OCSP responder. The grant to
// sign with the managed key is enough: whoever has it can have a certificate
// signed for any key as a responder's, and gains nothing by having this one.
func (c *session) makeResponder(ctx context.Context, req *wire.GenerateRequest) (*wire.GenerateResponse, error) {
	if req.Key == "" || req.Type != "" {
		return nil, wire.Errorf(wire.Invalid, "a responder's key belongs to a managed key, and is of one type")
	}
	k, err := c.key(grant.Sign, req.Key)
	if err != nil {
		return nil, err
	}
	if err := mayRespond(k); err != nil {
		return nil, err
	}
	owner, err := c.srv.public(ctx, k)
	if err != nil {
		return nil, err
	}
	for _, set := range c.srv.state.Load().constraintsOf(k, owner.ID) {
		if !set.Signs(tbs.OCSPResponse.String()) {
			return nil, wire.Errorf(wire.Denied, "managed key %q signs no OCSP responses, and has no responder (constraints)", k.Name())
		}
	}
	key, made, err := c.srv.responders.Make(k.Name(), owner.ID, c.srv.now())
	if err != nil {
		return nil, wire.Errorf(wire.Internal, "making a responder's key: %v", err)
	}
	if made {
		c.srv.log.Info("made a responder's key", "key", k.Name(), "uid", c.peer.UID, "public_key", hex.EncodeToString(key.ID[:]), "context", shorten(req.Context))
	}
	answer := info(k, nil, nil)
	answer.PublicKey, answer.Schemes = key.SPKI, []wire.SignatureScheme{wire.ECDSAP256SHA256}
	return &wire.GenerateResponse{Key: answer, Created: made}, nil
}

// mayRespond is what a managed key must be allowed for its responder to sign:
// what the responder says, it says for that key.
func mayRespond(k *managedkey.Key) error {
	if !k.Signs() {
		return wire.Errorf(wire.Denied, "managed key %q is not for signing (usages)", k.Name())
	}
	return nil
}

// responderOf gives the responder's key that a request names by its public key,
// nil where it names none. Nobody is asked for it: answers go on while a token
// is away. Where the managed key is known to be another key pair by now, the
// responder does not speak for it any more.
func (s *Server) responderOf(k *managedkey.Key, req *wire.SignRequest) (*responder.Key, error) {
	key := s.responders.Find(k.Name(), req.SPKI)
	if key == nil {
		return nil, nil
	}
	if owner := k.Public(); owner != nil {
		if err := s.notAnothers(k, owner); err != nil {
			return nil, err
		}
		if owner.ID != key.Owner {
			return nil, wire.Errorf(wire.KeyChanged, "managed key %q is not the key pair that the responder's key was made for", k.Name())
		}
	}
	if req.Scheme != wire.ECDSAP256SHA256 {
		return nil, wire.Errorf(wire.Invalid, "the responder's key of %q does not sign with %s", k.Name(), req.Scheme)
	}
	return key, mayRespond(k)
}

// notOCSP is the refusal of a responder's key to sign anything else.
func notOCSP(kind tbs.Kind) error {
	return &tbs.Error{Kind: kind, Forbidden: true, Reason: "is not for a responder's key, which signs OCSP responses only"}
}

// signAsResponder signs a digest in memory.
func (s *Server) signAsResponder(k *managedkey.Key, key *responder.Key, digest []byte) ([]byte, error) {
	signature, err := key.Sign(digest)
	if err != nil {
		s.log.Error("ALARM: the responder's key could not sign", "key", k.Name(), "public_key", hex.EncodeToString(key.ID[:]), "error", err)
		return nil, wire.Errorf(wire.Internal, "the responder's key of %q could not sign", k.Name())
	}
	return signature, nil
}
