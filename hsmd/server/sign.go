package server

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"time"

	_ "crypto/sha512" // SHA-384 and SHA-512 for crypto.Hash

	"github.com/hsmpki/hsmpki/hsmd/approval"
	"github.com/hsmpki/hsmpki/hsmd/constraint"
	"github.com/hsmpki/hsmpki/hsmd/grant"
	"github.com/hsmpki/hsmpki/hsmd/ledger"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/responder"
	"github.com/hsmpki/hsmpki/hsmd/tbs"
	"github.com/hsmpki/hsmpki/wire"
)

// MaxWhole bounds a message whose scheme signs the message itself, and which is
// therefore held whole. The others bound what one user may have under way, on
// all his connections together: requests, of which each holds its message; those
// that come in parts, of which up to a MiB is held; and those held whole.
const (
	MaxWhole   = 16 << 20
	maxSigning = 1024
	maxLong    = 16
	maxHeld    = 4
)

// Sign is what hsmd is for. The order is the design: nothing reaches a key that
// was not recognised to its last octet, and no signature leaves that was not
// checked.
func (c *session) Sign(ctx context.Context, req *wire.SignRequest) (*wire.SignResponse, error) {
	defer c.srv.begin().end()
	steps := wire.StepsOf(ctx)
	// Step 1: the request itself. A digest could be of anything.
	if len(req.Digest) > 0 {
		return nil, wire.Errorf(wire.Invalid, "hsmd signs messages, not digests")
	}
	if len(req.SPKI) != sha256.Size {
		return nil, wire.Errorf(wire.Invalid, "a signature request names the key by the SHA-256 of its public key")
	}
	if len(req.Approval) > approval.MaxID {
		return nil, wire.Errorf(wire.Invalid, "the ID of an approval has at most %d octets", approval.MaxID)
	}

	// Step 2: may this peer ask this of this key?
	k, state, err := c.keyIn(grant.Sign, req.Key)
	if err != nil {
		return nil, err
	}
	if !k.Signs() {
		return nil, wire.Errorf(wire.Denied, "managed key %q is not for signing (usages)", k.Name())
	}

	// Step 3: which key pair does the peer mean, and does it sign so? That of the
	// managed key, or of its OCSP responder.
	steps.Next("key")
	public, delegate, err := c.srv.meant(ctx, k, req)
	if err != nil {
		return nil, err
	}

	// Step 4: what is to be signed? Read to the end, and hashed on the way. What
	// the token hashes itself goes there meanwhile, all but its end.
	steps.Next("message")
	place, toToken := c.srv.hashesItself(k, public, delegate, req)
	release, err := c.srv.hold(c.peer.UID, req.Parts != nil, toToken || req.Scheme.Hash() == 0)
	if err != nil {
		return nil, err
	}
	defer release()
	var stream *stream
	if toToken {
		if stream, err = c.srv.stream(ctx, place, req); err != nil {
			return nil, err
		}
		defer stream.end()
	}
	var rules []*approval.Rule
	if delegate == nil {
		rules = state.rulesOf(public.ID[:])
	}
	seen := see(req)
	list := c.srv.list(public)
	defer list.Close()
	summary, signed, whole, err := c.srv.recognise(req, list, len(rules) > 0)
	if err != nil {
		return nil, c.notSigned(k, req, stream.cause(err))
	}
	if delegate != nil && summary.Kind != tbs.OCSPResponse {
		return nil, c.notSigned(k, req, notOCSP(summary.Kind))
	}

	// Step 5: do the key's constraints let it be signed?
	steps.Next("constraints")
	rule := strictest(rules, summary.Kind.String())
	if err := c.constrained(state, k, public, delegate, rule, summary); err != nil {
		return nil, c.notSigned(k, req, err)
	}

	// Step 6: do people have to approve it, and have they?
	if rule != nil {
		steps.Next("approval")
		if err := c.approved(k, rule, public, req, summary, whole); err != nil {
			return nil, err
		}
	}

	// Step 7: has the key signed as often as it may? A responder's key is not it,
	// and its certificates, which are of use to hsmd alone, do not count for the day.
	if delegate == nil {
		certificate := summary.Kind == tbs.Certificate && !c.srv.respondsFor(k, public.ID, summary.SPKI)
		if err := c.srv.counted(k, public, certificate); err != nil {
			return nil, err
		}
	}

	// Step 8: does what was signed before speak against it? From here on it counts
	// as signed.
	steps.Next("ledger")
	entry := seen.entry(summary, signed)
	before, err := c.remember(public, list, summary, entry, rule != nil)
	if err != nil {
		return nil, c.notSigned(k, req, err)
	}

	// Step 9: the record of it, which becomes durable while the token works, or
	// with that of another whose signature is waiting for it.
	steps.Next("log")
	record, err := c.record(k, req, entry, before...)
	if err != nil {
		return nil, err
	}

	// Step 10: the token's work, or hsmd's own. Its signature leaves when the
	// record is durable.
	steps.Next("token")
	var answer []byte
	if delegate != nil {
		answer, err = c.srv.signAsResponder(k, delegate, signed)
	} else if stream != nil {
		answer, err = stream.sign(signed)
	} else {
		answer, err = c.srv.sign(ctx, k, public, req, signed)
	}
	if err = record.ends(ctx, answer, err); err != nil {
		return nil, err
	}
	if c.srv.log.Enabled(ctx, slog.LevelDebug) {
		c.srv.log.Debug("signed", "key", k.Name(), "uid", c.peer.UID, "kind", summary.Kind.String(), "size", summary.Size, "context", shorten(req.Context))
	}
	return &wire.SignResponse{Signature: answer}, nil
}

// meant gives the key pair that the request names: a responder's key where it is
// that one, else the public half of the managed key's.
func (s *Server) meant(ctx context.Context, k *managedkey.Key, req *wire.SignRequest) (*managedkey.Public, *responder.Key, error) {
	delegate, err := s.responderOf(k, req)
	if err != nil || delegate != nil {
		return nil, delegate, err
	}
	public, err := s.expected(ctx, k, req.SPKI)
	if err == nil && !public.Allows(req.Scheme) {
		err = wire.Errorf(wire.Invalid, "managed key %q does not sign with %s", k.Name(), req.Scheme)
	}
	return public, nil, err
}

// expected gives the key's public half where it is the expected one. What is
// known may be old: before the key counts as changed, the token is asked.
func (s *Server) expected(ctx context.Context, k *managedkey.Key, id []byte) (*managedkey.Public, error) {
	fresh := k.Public() == nil
	public, err := s.public(ctx, k)
	if err == nil && !fresh && !bytes.Equal(public.ID[:], id) {
		public, err = s.find(ctx, k)
	}
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(public.ID[:], id) {
		s.quiet.warn("another key was found than was asked for", "key", k.Name())
		return nil, wire.Errorf(wire.KeyChanged, "managed key %q is not the key pair it was: its public key's SHA-256 begins %x, asked for was %x", k.Name(), public.ID[:8], id[:8])
	}
	return public, nil
}

// recognise reads the message to its end. It gives what is to be signed, the
// digest or, where the scheme has no hash, the message itself; and the message, if
// it is held anyway, or is to be kept and not too long to wait for approval.
// Entries of a CRL are shown to list.
func (s *Server) recognise(req *wire.SignRequest, list *ledger.List, keep bool) (_ *tbs.Summary, signed, whole []byte, _ error) {
	rules := tbs.Rules{Now: s.now(), Scheme: req.Scheme}
	if list != nil {
		rules.Revoked = func(issuer, serial []byte, reason uint8) error {
			return s.notRemembered(tbs.RevocationList, list.Entry(issuer, serial, reason))
		}
	}
	hash := req.Scheme.Hash()
	if req.Parts == nil {
		summary, err := tbs.Parse(req.Message, rules)
		if err != nil || hash == 0 {
			return summary, req.Message, req.Message, err
		}
		return summary, digest(hash, req.Message), req.Message, nil
	}
	if len(req.Message) > 0 {
		return nil, nil, nil, wire.Errorf(wire.Invalid, "a message comes whole or in parts, not both")
	}
	if hash == 0 {
		held := &bounded{}
		summary, err := tbs.Read(io.TeeReader(req.Parts, held), rules)
		return summary, held.Bytes(), held.Bytes(), err
	}
	from, kept := req.Parts, &start{}
	if keep {
		from = io.TeeReader(from, kept)
	}
	h := hash.New()
	summary, err := tbs.Read(io.TeeReader(from, h), rules)
	return summary, h.Sum(nil), kept.Bytes(), err
}

func digest(hash crypto.Hash, message []byte) []byte {
	if hash == crypto.SHA256 {
		sum := sha256.Sum256(message)
		return sum[:]
	}
	h := hash.New()
	h.Write(message)
	return h.Sum(nil)
}

// bounded holds what it is given up to a limit.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > MaxWhole {
		return 0, wire.Errorf(wire.Invalid, "a message for a scheme without a hash may have %d octets", MaxWhole)
	}
	return b.Buffer.Write(p)
}

// start holds the start of what it is given, a little more than can wait for
// approval: whether it has to shows when all of it was read.
type start struct{ bytes.Buffer }

func (s *start) Write(p []byte) (int, error) {
	s.Buffer.Write(p[:min(len(p), approval.MaxMessage+1-s.Len())])
	return len(p), nil
}

// notSigned turns a refusal of the message into the answer: malformed bytes are
// invalid, sound ones that break a rule denied. Either is worth a line, for
// pkid asks for neither in the normal course of things.
func (c *session) notSigned(k *managedkey.Key, req *wire.SignRequest, err error) error {
	_, denied := errors.AsType[*constraint.Refusal](err)
	refusal, malformed := errors.AsType[*tbs.Error](err)
	if !denied && !malformed {
		return err
	}
	c.srv.quiet.warn("not signed", "key", k.Name(), "uid", c.peer.UID, "context", shorten(req.Context), "reason", err.Error())
	c.refuse(k.Name(), req.Context, err)
	if denied || refusal.Forbidden {
		return wire.Errorf(wire.Denied, "%s", err)
	}
	return wire.Errorf(wire.Invalid, "%s", err)
}

// sign has the backend sign what was recognised, and checks the signature. The
// token is given the digest, or the message where it hashes itself and where the
// scheme has no hash.
func (s *Server) sign(ctx context.Context, k *managedkey.Key, public *managedkey.Public, asked *wire.SignRequest, signed []byte) ([]byte, error) {
	if k.Copies != nil {
		return s.signByCopies(ctx, k, public, asked, signed)
	}
	req := &wire.SignRequest{Key: k.Handle, SPKI: public.ID[:], Scheme: asked.Scheme, Context: asked.Context}
	switch {
	case asked.Scheme.Hash() == 0:
		req.Message = signed
	case public.HashedByToken(asked.Scheme):
		req.Message = asked.Message
	default:
		req.Digest = signed
	}
	err := s.tell(ctx, k)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	answer, err := k.Library.Backend.Sign(ctx, req)
	if err != nil {
		return nil, s.signError(ctx, k, err)
	}
	s.numbers.atTheToken(k.Name(), k.Library.Name, time.Since(began))
	if err := s.checked(k, public, asked.Scheme, signed, answer.Signature); err != nil {
		return nil, err
	}
	return answer.Signature, nil
}

// signError looks at why a backend did not sign: what was known of the key may
// be wrong by now.
func (s *Server) signError(ctx context.Context, k *managedkey.Key, err error) error {
	if isCode(err, wire.KeyChanged) || isCode(err, wire.UnknownKey) || isCode(err, wire.Invalid) {
		k.Found(nil)
	}
	return s.backendError(ctx, k.Library, err)
}

// checked verifies a signature with the public key. One that does not verify
// stays here: a fault while signing can give the private key away, and a library
// may be lying. The key is not used again before it was found and proved anew.
func (s *Server) checked(k *managedkey.Key, public *managedkey.Public, scheme wire.SignatureScheme, signed, signature []byte) error {
	err := public.Verify(scheme, signed, signature)
	if err == nil {
		return nil
	}
	k.Found(nil)
	s.log.Error("ALARM: a signature made by the token does not verify; it was not handed out",
		"key", k.Name(), "library", k.Library.Name, "scheme", scheme.String(), "public_key", hex.EncodeToString(public.ID[:]), "error", err)
	return wire.Errorf(wire.Internal, "the token made a signature with key %q that does not verify", k.Name())
}
