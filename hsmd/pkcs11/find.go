//go:build cgo

package pkcs11

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/mldsa"
	"crypto/rsa"
	"encoding/hex"
	"fmt"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// findPrivate finds the one private key that a definition names.
func (s *Service) findPrivate(session p11.SessionHandle, t *token, k *key) (p11.ObjectHandle, error) {
	template, err := namedBy(k.definition.PKCS11)
	if err != nil {
		return 0, err
	}
	handles, err := t.objects(session, p11.CKO_PRIVATE_KEY, template, 2)
	if err != nil {
		return 0, err
	}
	switch len(handles) {
	case 0:
		return 0, wire.Errorf(wire.UnknownKey, "managed key %q: token %s has no private key with %s", k.definition.Name, t, identity(k.definition.PKCS11))
	case 1:
		return handles[0], t.suits(session, handles[0], k)
	}
	return 0, wire.Errorf(wire.Invalid, "managed key %q: token %s has more than one private key with %s; say which with both key_label and key_id", k.definition.Name, t, identity(k.definition.PKCS11))
}

// namedBy is the part of a template that names a definition's objects.
func namedBy(d *wire.PKCS11Definition) ([]*p11.Attribute, error) {
	var template []*p11.Attribute
	if d.KeyLabel != "" {
		template = append(template, p11.NewAttribute(p11.CKA_LABEL, d.KeyLabel))
	}
	if d.KeyID != "" {
		id, err := hex.DecodeString(d.KeyID)
		if err != nil {
			return nil, wire.Errorf(wire.Invalid, "key_id %q is not hexadecimal", d.KeyID)
		}
		template = append(template, p11.NewAttribute(p11.CKA_ID, id))
	}
	if len(template) == 0 {
		return nil, wire.Errorf(wire.Invalid, "a definition names its key by key_label, key_id or both")
	}
	return template, nil
}

func identity(d *wire.PKCS11Definition) string {
	switch {
	case d.KeyID == "":
		return fmt.Sprintf("label %q", d.KeyLabel)
	case d.KeyLabel == "":
		return "id " + d.KeyID
	}
	return fmt.Sprintf("label %q and id %s", d.KeyLabel, d.KeyID)
}

// suits checks that a key is of the kind that the mechanism signs with, since
// some tokens find out only in the middle of a signature.
func (t *token) suits(session p11.SessionHandle, handle p11.ObjectHandle, k *key) error {
	want, ok := keyKind(k.definition.PKCS11.Mechanism)
	if !ok {
		return wire.Errorf(wire.Invalid, "managed key %q: mechanism 0x%04x is not used for signing here", k.definition.Name, k.definition.PKCS11.Mechanism)
	}
	got, err := t.number(session, handle, p11.CKA_KEY_TYPE)
	if err != nil {
		return err
	}
	if got != want {
		return wire.Errorf(wire.Invalid, "managed key %q: the key found has type 0x%x (CKA_KEY_TYPE), mechanism 0x%04x signs with type 0x%x", k.definition.Name, got, k.definition.PKCS11.Mechanism, want)
	}
	for _, refused := range []struct {
		kind  uint
		value bool
		why   string
		made  bool // only of keys that hsmd may make
	}{
		{p11.CKA_SIGN, false, "may not sign (CKA_SIGN is false)", false},
		// Held to what Generate makes, so that a key which was refused after
		// its generation is not taken at the next try.
		{p11.CKA_EXTRACTABLE, true, "can leave the token (CKA_EXTRACTABLE is true); without allow_generate_key it would be used", true},
		{p11.CKA_SENSITIVE, false, "can be read (CKA_SENSITIVE is false); without allow_generate_key it would be used", true},
	} {
		raw, err := t.attribute(session, handle, refused.kind)
		if err != nil {
			return err
		}
		if len(raw) == 1 && (raw[0] != 0) == refused.value && (!refused.made || k.definition.AllowGenerateKey) {
			return wire.Errorf(wire.Invalid, "managed key %q: the key found %s", k.definition.Name, refused.why)
		}
	}
	return nil
}

// asksEachTime learns whether a key wants the PIN for each signature: it says so,
// or its definition does.
func (t *token) asksEachTime(session p11.SessionHandle, k *key, f *found) error {
	d := k.definition.PKCS11
	raw, err := t.attribute(session, f.handle, p11.CKA_ALWAYS_AUTHENTICATE)
	if err != nil {
		return err
	}
	f.wantsPIN = d.Login == loginContextSpecific || len(raw) == 1 && raw[0] != 0
	if f.wantsPIN && d.Login == loginNone && !t.hasPad() {
		return wire.Errorf(wire.Invalid, "managed key %q: the key found wants its PIN for each signature (CKA_ALWAYS_AUTHENTICATE), and its definition has none", k.definition.Name)
	}
	return nil
}

// fits measures a key that was found by its definition.
func fits(k *key, public crypto.PublicKey) error {
	d := k.definition.PKCS11
	switch public := public.(type) {
	case *rsa.PublicKey:
		bits := public.N.BitLen()
		if bits != 2048 && bits != 3072 && bits != 4096 || d.KeyBits != 0 && d.KeyBits != bits {
			return wire.Errorf(wire.Invalid, "managed key %q: the key found is RSA of %d bits; 2048, 3072 and 4096 are used, and its definition says %d", k.definition.Name, bits, d.KeyBits)
		}
	case *mldsa.PublicKey:
		if d.KeyBits != 0 && parameterSets[d.KeyBits].set != public.Parameters() {
			return wire.Errorf(wire.Invalid, "managed key %q: the key found is %s, its definition says ML-DSA-%d", k.definition.Name, public.Parameters(), d.KeyBits)
		}
	case *ecdsa.PublicKey:
		if want := curves[curveOIDs[d.Curve].String()]; d.Curve != "" && want != public.Curve {
			return wire.Errorf(wire.Invalid, "managed key %q: the key found is on %s, its definition says %s", k.definition.Name, public.Params().Name, d.Curve)
		}
	}
	return nil
}

// objects finds at most limit objects of a class. A search that is not ended
// blocks the session, so an error here costs it.
func (t *token) objects(session p11.SessionHandle, class uint, template []*p11.Attribute, limit int) ([]p11.ObjectHandle, error) {
	template = append([]*p11.Attribute{p11.NewAttribute(p11.CKA_CLASS, class)}, template...)
	if err := t.module.FindObjectsInit(session, template); err != nil {
		return nil, fmt.Errorf("C_FindObjectsInit: %w", err)
	}
	var out []p11.ObjectHandle
	for len(out) < limit {
		handles, _, err := t.module.FindObjects(session, limit-len(out))
		if err != nil {
			return nil, fmt.Errorf("C_FindObjects: %w", err)
		}
		if len(handles) == 0 {
			break
		}
		out = append(out, handles...)
	}
	if err := t.module.FindObjectsFinal(session); err != nil {
		return nil, fmt.Errorf("C_FindObjectsFinal: %w", err)
	}
	return out, nil
}

// attribute reads one attribute; nil if the object has none. Attributes are
// read one at a time: with several, one that a token does not know fails all.
func (t *token) attribute(session p11.SessionHandle, handle p11.ObjectHandle, kind uint) ([]byte, error) {
	got, err := t.module.GetAttributeValue(session, handle, []*p11.Attribute{p11.NewAttribute(kind, nil)})
	if isCKR(err, p11.CKR_ATTRIBUTE_TYPE_INVALID) || isCKR(err, p11.CKR_ATTRIBUTE_SENSITIVE) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("C_GetAttributeValue (0x%x): %w", kind, err)
	}
	if len(got) == 0 {
		return nil, nil
	}
	return got[0].Value, nil
}

// number reads an attribute that is a CK_ULONG, in the machine's byte order.
func (t *token) number(session p11.SessionHandle, handle p11.ObjectHandle, kind uint) (uint, error) {
	raw, err := t.attribute(session, handle, kind)
	if err != nil {
		return 0, err
	}
	if len(raw) != 8 {
		return 0, wire.Errorf(wire.Internal, "token %s: attribute 0x%x has %d octets, 8 belong there", t, kind, len(raw))
	}
	return numbers(raw)[0], nil
}
