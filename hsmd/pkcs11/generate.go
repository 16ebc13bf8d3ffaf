//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/asn1"
	"encoding/hex"
	"errors"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// idSize is the length of a CKA_ID that we choose: as long as the SHA-1 that
// others use, and random, since a second key with the same id replaces the
// first on some tokens.
const idSize = 20

// Generate implements [wire.Service]. It makes the key of a definition unless
// it is there: then that is the answer, so that asking again is safe. One key
// is made on a token at a time, and nobody else's key between looking and
// making.
func (s *Service) Generate(ctx context.Context, req *wire.GenerateRequest) (*wire.GenerateResponse, error) {
	if req.Responder {
		return nil, wire.Errorf(wire.Invalid, "a responder's key is hsmd's, not a token's")
	}
	k, err := s.lookup(req.Key)
	if err != nil {
		return nil, err
	}
	t, err := s.ready(ctx, k)
	if err != nil {
		return nil, err
	}
	select {
	case t.making <- struct{}{}:
		defer func() { <-t.making }()
	case <-ctx.Done():
		return nil, gaveUp(ctx)
	}
	k.drop()
	f, err := s.look(ctx, k)
	if err == nil {
		return &wire.GenerateResponse{Key: k.info(f, nil)}, nil
	}
	if !errors.Is(err, wire.UnknownKey) {
		return nil, err
	}
	d := &k.definition
	if !d.AllowGenerateKey {
		return nil, wire.Errorf(wire.Denied, "managed key %q does not exist, and its definition has no allow_generate_key", d.Name)
	}
	if d.PKCS11.KeyLabel == "" {
		return nil, wire.Errorf(wire.Invalid, "managed key %q: a key that is to be made needs a key_label", d.Name)
	}
	if err := t.make(ctx, k); err != nil {
		return nil, t.module.failure("C_GenerateKeyPair", t.String(), err)
	}
	// What the token says now counts, not what was asked of it.
	if f, err = s.look(ctx, k); err != nil {
		return nil, err
	}
	if err := s.prove(ctx, k, f); err != nil {
		return nil, wire.Errorf(wire.Internal, "managed key %q: the key that token %s made does not work: %v", d.Name, t, err)
	}
	return &wire.GenerateResponse{Key: k.info(f, nil), Created: true}, nil
}

// drop forgets the handle, so that the token is asked.
func (k *key) drop() {
	if f := k.found.Load(); f != nil {
		k.stale(f)
	}
}

// make makes the key pair in a read-write session of its own and reads back
// what it became.
func (t *token) make(ctx context.Context, k *key) error {
	session, err := t.writeSession()
	if err != nil {
		return err
	}
	defer t.module.CloseSession(session)
	d := k.definition.PKCS11
	id := make([]byte, idSize)
	rand.Read(id)
	if d.KeyID != "" {
		if id, err = hex.DecodeString(d.KeyID); err != nil {
			return wire.Errorf(wire.Invalid, "key_id %q is not hexadecimal", d.KeyID)
		}
	}
	if err := t.unused(session, id, d.KeyLabel); err != nil {
		return err
	}
	mech, size, err := pairFor(d)
	if err != nil {
		return err
	}
	public, private := templates(d.KeyLabel, id)
	_, handle, err := t.module.GenerateKeyPair(session, mech, append(public, size...), private)
	if err != nil {
		return err
	}
	return t.checkMade(session, handle, id, k.definition.Name)
}

// writeSession opens the read-write session that making token objects needs,
// in place of an idle one if the token has no room.
func (t *token) writeSession() (p11.SessionHandle, error) {
	const flags = p11.CKF_SERIAL_SESSION | p11.CKF_RW_SESSION
	session, err := t.module.OpenSession(t.slot, flags)
	if isCKR(err, p11.CKR_SESSION_COUNT) && !t.sessions.single {
		t.sessions.discardIdle()
		session, err = t.module.OpenSession(t.slot, flags)
	}
	if err != nil {
		return 0, t.module.failure("C_OpenSession", t.String(), err)
	}
	return session, nil
}

// unused refuses an id or label that any object has: a public key or
// certificate without its private key is somebody's mistake, and a token may
// replace what has the same id.
func (t *token) unused(session p11.SessionHandle, id []byte, label string) error {
	for _, class := range []uint{p11.CKO_PRIVATE_KEY, p11.CKO_PUBLIC_KEY, p11.CKO_CERTIFICATE} {
		for what, attribute := range map[string]*p11.Attribute{
			"id " + hex.EncodeToString(id): p11.NewAttribute(p11.CKA_ID, id),
			"label " + label:               p11.NewAttribute(p11.CKA_LABEL, label),
		} {
			there, err := t.objects(session, class, []*p11.Attribute{attribute}, 1)
			if err != nil {
				return err
			}
			if len(there) > 0 {
				return wire.Errorf(wire.Invalid, "token %s has an object with %s already (CKA_CLASS %d); no key is made", t, what, class)
			}
		}
	}
	return nil
}

var curveOIDs = map[string]asn1.ObjectIdentifier{
	"P256":    {1, 2, 840, 10045, 3, 1, 7},
	"P384":    {1, 3, 132, 0, 34},
	"P521":    {1, 3, 132, 0, 35},
	"Ed25519": {1, 3, 101, 112},
}

// pairFor is the mechanism that makes a definition's key, and the attributes
// that say how large.
func pairFor(d *wire.PKCS11Definition) ([]*p11.Mechanism, []*p11.Attribute, error) {
	kind, _ := keyKind(d.Mechanism)
	if kind == p11.CKK_RSA {
		if d.KeyBits != 2048 && d.KeyBits != 3072 && d.KeyBits != 4096 {
			return nil, nil, wire.Errorf(wire.Invalid, "an RSA key of key_bits %d is not made; 2048, 3072 and 4096 are", d.KeyBits)
		}
		return []*p11.Mechanism{p11.NewMechanism(p11.CKM_RSA_PKCS_KEY_PAIR_GEN, nil)}, []*p11.Attribute{
			p11.NewAttribute(p11.CKA_MODULUS_BITS, d.KeyBits),
			p11.NewAttribute(p11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
		}, nil
	}
	oid, ok := curveOIDs[d.Curve]
	generate := uint(p11.CKM_EC_KEY_PAIR_GEN)
	if kind == ckkECEdwards {
		generate = ckmECEdwardsKeyPairGen
		if d.Curve == "" {
			oid, ok = curveOIDs["Ed25519"], true
		}
	}
	if !ok || (kind == ckkECEdwards) != oid.Equal(curveOIDs["Ed25519"]) {
		return nil, nil, wire.Errorf(wire.Invalid, "a key of mechanism 0x%04x on curve %q is not made", d.Mechanism, d.Curve)
	}
	params, err := asn1.Marshal(oid)
	if err != nil {
		return nil, nil, err
	}
	return []*p11.Mechanism{p11.NewMechanism(generate, nil)}, []*p11.Attribute{p11.NewAttribute(p11.CKA_EC_PARAMS, params)}, nil
}

// templates are what is asked of a new key pair: in the token, private,
// sensitive, not extractable, for signing only. What is silent here a token
// fills in as it likes, most often with "yes".
func templates(label string, id []byte) (public, private []*p11.Attribute) {
	public = []*p11.Attribute{
		p11.NewAttribute(p11.CKA_TOKEN, true), p11.NewAttribute(p11.CKA_PRIVATE, false),
		p11.NewAttribute(p11.CKA_LABEL, label), p11.NewAttribute(p11.CKA_ID, id),
		p11.NewAttribute(p11.CKA_VERIFY, true), p11.NewAttribute(p11.CKA_ENCRYPT, false), p11.NewAttribute(p11.CKA_WRAP, false),
	}
	private = []*p11.Attribute{
		p11.NewAttribute(p11.CKA_TOKEN, true), p11.NewAttribute(p11.CKA_PRIVATE, true),
		p11.NewAttribute(p11.CKA_SENSITIVE, true), p11.NewAttribute(p11.CKA_EXTRACTABLE, false),
		p11.NewAttribute(p11.CKA_LABEL, label), p11.NewAttribute(p11.CKA_ID, id),
		p11.NewAttribute(p11.CKA_SIGN, true), p11.NewAttribute(p11.CKA_DECRYPT, false),
		p11.NewAttribute(p11.CKA_UNWRAP, false), p11.NewAttribute(p11.CKA_DERIVE, false),
	}
	return public, private
}

// checkMade reads the new key's attributes back. One that is not as asked is
// refused: the key stays where it is, since hsmd destroys nothing, and is
// named, for whoever has to.
func (t *token) checkMade(session p11.SessionHandle, handle p11.ObjectHandle, id []byte, name string) error {
	wrong := func(what string) error {
		return wire.Errorf(wire.Internal, "managed key %q: token %s made a key whose %s is not as asked; it is not used, and stays on the token with id %x for you to delete", name, t, what, id)
	}
	for _, want := range []struct {
		kind     uint
		name     string
		value    bool
		optional bool // a token without the attribute has not the ability either
	}{
		{p11.CKA_TOKEN, "CKA_TOKEN", true, false},
		{p11.CKA_PRIVATE, "CKA_PRIVATE", true, false},
		{p11.CKA_SENSITIVE, "CKA_SENSITIVE", true, false},
		{p11.CKA_EXTRACTABLE, "CKA_EXTRACTABLE", false, false},
		{p11.CKA_NEVER_EXTRACTABLE, "CKA_NEVER_EXTRACTABLE", true, true},
		{p11.CKA_SIGN, "CKA_SIGN", true, false},
		{p11.CKA_DECRYPT, "CKA_DECRYPT", false, true},
		{p11.CKA_UNWRAP, "CKA_UNWRAP", false, true},
		{p11.CKA_DERIVE, "CKA_DERIVE", false, true},
	} {
		raw, err := t.attribute(session, handle, want.kind)
		if err != nil {
			return err
		}
		if len(raw) == 0 && want.optional {
			continue
		}
		if len(raw) != 1 || (raw[0] != 0) != want.value {
			return wrong(want.name)
		}
	}
	made, err := t.attribute(session, handle, p11.CKA_ID)
	if err != nil {
		return err
	}
	if !bytes.Equal(made, id) {
		return wrong("CKA_ID")
	}
	return nil
}
