//go:build cgo

package pkcs11

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// idSize is the length of a CKA_ID that we choose, where the library's stanza
// says no other: as long as the SHA-1 that others use.
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
	if err := t.make(k); err != nil {
		return nil, t.module.failure("C_GenerateKeyPair", t.String(), err)
	}
	// What the token says now counts, not what was asked of it.
	if f, err = s.look(ctx, k); err != nil {
		return nil, err
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
func (t *token) make(k *key) error {
	d := k.definition.PKCS11
	mech, sizes, err := t.maker(k)
	if err != nil {
		return err
	}
	session, err := t.writeSession()
	if err != nil {
		return err
	}
	defer t.module.CloseSession(session)
	if err := t.unused(session, "label "+d.KeyLabel, p11.NewAttribute(p11.CKA_LABEL, d.KeyLabel)); err != nil {
		return err
	}
	id, err := t.freeID(session, k)
	if err != nil {
		return err
	}
	public, private := templates(d.KeyLabel, id)
	var handle p11.ObjectHandle
	for i, size := range sizes {
		_, handle, err = t.module.GenerateKeyPair(session, []*p11.Mechanism{p11.NewMechanism(mech, nil)}, slices.Concat(public, size), private)
		if err == nil || i == len(sizes)-1 || !notUnderstood(err) {
			break
		}
	}
	if err != nil {
		return err
	}
	return t.checkMade(session, handle, id, k.definition.Name)
}

// freeID gives the CKA_ID of a new key: that of the definition, or a random one,
// since a second key with the same id replaces the first on some tokens. On
// those that keep few octets of it, the first may be taken.
func (t *token) freeID(session p11.SessionHandle, k *key) ([]byte, error) {
	given, err := hex.DecodeString(k.definition.PKCS11.KeyID)
	if err != nil {
		return nil, wire.Errorf(wire.Invalid, "key_id %q is not hexadecimal", k.definition.PKCS11.KeyID)
	}
	for try := 0; ; try++ {
		id := given
		if len(id) == 0 {
			id = make([]byte, cmp.Or(k.worker.KeyIDLength, idSize))
			rand.Read(id)
			id[0] |= 0x40 // some take an id of zeros for none
		}
		err := t.unused(session, "id "+hex.EncodeToString(id), p11.NewAttribute(p11.CKA_ID, id))
		if err == nil || len(given) > 0 || try > 15 || !errors.Is(err, wire.Invalid) {
			return id, err
		}
	}
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
func (t *token) unused(session p11.SessionHandle, what string, attribute *p11.Attribute) error {
	for _, class := range []uint{p11.CKO_PRIVATE_KEY, p11.CKO_PUBLIC_KEY, p11.CKO_CERTIFICATE} {
		there, err := t.objects(session, class, []*p11.Attribute{attribute}, 1)
		if err != nil {
			return err
		}
		if len(there) > 0 {
			return wire.Errorf(wire.Invalid, "token %s has an object with %s already (CKA_CLASS %d); no key is made", t, what, class)
		}
	}
	return nil
}
