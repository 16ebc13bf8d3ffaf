//go:build cgo

package pkcs11

import (
	"bytes"
	"encoding/asn1"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

var curveOIDs = map[string]asn1.ObjectIdentifier{
	"P256":    {1, 2, 840, 10045, 3, 1, 7},
	"P384":    {1, 3, 132, 0, 34},
	"P521":    {1, 3, 132, 0, 35},
	"Ed25519": {1, 3, 101, 112},
}

// maker is the mechanism that makes a definition's key, and the attributes that
// say how large, in the spellings that tokens may understand. Nothing is made
// that the token could not sign with.
func (t *token) maker(k *key) (ckm uint, sizes [][]*p11.Attribute, err error) {
	d := k.definition.PKCS11
	signs, err := t.offers(p11.CKF_SIGN)
	if err != nil {
		return 0, nil, err
	}
	if len(waysFor(d.Mechanism, signs)) == 0 {
		return 0, nil, t.unsupported(k)
	}
	usual, sizes, err := pairFor(d)
	if err != nil || d.GenerateMechanism != 0 {
		return uint(d.GenerateMechanism), sizes, err
	}
	makes, err := t.offers(p11.CKF_GENERATE_KEY_PAIR)
	if err != nil {
		return 0, nil, err
	}
	for _, ckm := range usual {
		if makes(ckm) {
			return ckm, sizes, nil
		}
	}
	return 0, nil, wire.Errorf(wire.Invalid, "managed key %q: token %s does not support making such keys (mechanism 0x%04x); generate_mechanism in the definition can name another", k.definition.Name, t, usual[0])
}

// pairFor is what makes a definition's key: the mechanisms, the usual one first,
// and what says how large.
func pairFor(d *wire.PKCS11Definition) (usual []uint, sizes [][]*p11.Attribute, err error) {
	kind, _ := keyKind(d.Mechanism)
	if kind == p11.CKK_RSA {
		if d.KeyBits != 2048 && d.KeyBits != 3072 && d.KeyBits != 4096 {
			return nil, nil, wire.Errorf(wire.Invalid, "an RSA key of key_bits %d is not made; 2048, 3072 and 4096 are", d.KeyBits)
		}
		return []uint{p11.CKM_RSA_PKCS_KEY_PAIR_GEN, p11.CKM_RSA_X9_31_KEY_PAIR_GEN}, [][]*p11.Attribute{{
			p11.NewAttribute(p11.CKA_MODULUS_BITS, d.KeyBits),
			p11.NewAttribute(p11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
		}}, nil
	}
	if kind == ckkMLDSA {
		size, err := mldsaSize(d.KeyBits)
		return []uint{ckmMLDSAKeyPairGen}, [][]*p11.Attribute{size}, err
	}
	oid, ok := curveOIDs[d.Curve]
	usual = []uint{p11.CKM_EC_KEY_PAIR_GEN}
	if kind == ckkECEdwards {
		usual = []uint{ckmECEdwardsKeyPairGen}
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
	sizes = [][]*p11.Attribute{{p11.NewAttribute(p11.CKA_EC_PARAMS, params)}}
	if kind == ckkECEdwards {
		// PKCS#11 3.0 has the curve's name in its place, and both are met.
		name := append([]byte{0x13, 12}, "edwards25519"...) // a PrintableString
		sizes = append(sizes, []*p11.Attribute{p11.NewAttribute(p11.CKA_EC_PARAMS, name)})
	}
	return usual, sizes, nil
}

// notUnderstood tells that the token does not know a curve by this spelling.
func notUnderstood(err error) bool {
	return isCKR(err, p11.CKR_CURVE_NOT_SUPPORTED) || isCKR(err, p11.CKR_DOMAIN_PARAMS_INVALID) ||
		isCKR(err, p11.CKR_ATTRIBUTE_VALUE_INVALID) || isCKR(err, p11.CKR_TEMPLATE_INCONSISTENT)
}

// templates are what is asked of a new key pair: in the token, private,
// sensitive, not extractable, for signing only. What is silent here a token
// fills in as it likes, most often with "yes". CKA_VERIFY and CKA_ENCRYPT of the
// public key harm nobody, and tpm2-pkcs11 takes neither as it should be.
func templates(label string, id []byte) (public, private []*p11.Attribute) {
	public = []*p11.Attribute{
		p11.NewAttribute(p11.CKA_TOKEN, true), p11.NewAttribute(p11.CKA_PRIVATE, false),
		p11.NewAttribute(p11.CKA_LABEL, label), p11.NewAttribute(p11.CKA_ID, id),
		p11.NewAttribute(p11.CKA_WRAP, false),
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
