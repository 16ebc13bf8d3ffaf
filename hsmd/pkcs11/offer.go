//go:build cgo

package pkcs11

import (
	"encoding/binary"
	"fmt"
	"slices"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// offers tells which of the mechanisms the token has for a purpose (CKF_SIGN,
// CKF_GENERATE_KEY_PAIR). A token without the list, which the standard demands,
// is taken to have each.
func (t *token) offers(purpose uint) (func(ckm uint) bool, error) {
	list, err := t.module.GetMechanismList(t.slot)
	if isCKR(err, p11.CKR_FUNCTION_NOT_SUPPORTED) {
		return func(uint) bool { return true }, nil
	}
	if err != nil {
		return nil, fmt.Errorf("C_GetMechanismList: %w", err)
	}
	return func(ckm uint) bool {
		if !slices.ContainsFunc(list, func(m *p11.Mechanism) bool { return m.Mechanism == ckm }) {
			return false
		}
		// Where the token says nothing of a mechanism that it has, it is tried.
		info, err := t.module.GetMechanismInfo(t.slot, []*p11.Mechanism{p11.NewMechanism(ckm, nil)})
		return err != nil || info.Flags&purpose != 0
	}, nil
}

// ways are the mechanisms that a key can sign with: of those that the token has,
// those that the key is not kept from by CKA_ALLOWED_MECHANISMS, and that the
// token has not refused when they were tried.
func (t *token) ways(session p11.SessionHandle, k *key, handle p11.ObjectHandle) (map[wire.SignatureScheme]mechanism, error) {
	offered, err := t.offers(p11.CKF_SIGN)
	if err != nil {
		return nil, err
	}
	raw, err := t.attribute(session, handle, p11.CKA_ALLOWED_MECHANISMS)
	if err != nil {
		return nil, err
	}
	allowed := numbers(raw)
	d := k.definition.PKCS11
	ways := waysFor(d.Mechanism, func(ckm uint) bool {
		return (len(allowed) == 0 || slices.Contains(allowed, ckm)) && !slices.Contains(k.refused, ckm) && offered(ckm)
	})
	if len(ways) == 0 {
		return nil, t.nothingLeft(k)
	}
	return ways, nil
}

// nothingLeft is the failure of a key that no mechanism is left for. Some may
// have been refused by a fault of the moment: whoever asks next tries all anew.
func (t *token) nothingLeft(k *key) error {
	k.refused = nil
	k.found.Store(nil)
	return t.unsupported(k)
}

func (t *token) unsupported(k *key) error {
	return wire.Errorf(wire.Invalid, "managed key %q: token %s does not support mechanism 0x%04x for signing, nor one of its kind that hashes on the token",
		k.definition.Name, t, k.definition.PKCS11.Mechanism)
}

// isRefusal tells that a token or key is not for a mechanism, whatever the list
// says: another may do.
func isRefusal(err error) bool {
	for _, code := range []uint{p11.CKR_MECHANISM_INVALID, p11.CKR_MECHANISM_PARAM_INVALID, p11.CKR_FUNCTION_NOT_SUPPORTED,
		p11.CKR_KEY_FUNCTION_NOT_PERMITTED, p11.CKR_FUNCTION_REJECTED} {
		if isCKR(err, code) {
			return true
		}
	}
	return false
}

// isVague tells a failure that may be of anything, a refusal too: a TPM signs
// what it has not hashed itself only with a key that also decrypts, and its
// library says CKR_GENERAL_ERROR.
func isVague(err error) bool {
	return isCKR(err, p11.CKR_GENERAL_ERROR) || isCKR(err, p11.CKR_FUNCTION_FAILED)
}

// numbers are the CK_ULONGs of an attribute that is an array of them.
func numbers(raw []byte) []uint {
	var out []uint
	for ; len(raw) >= 8; raw = raw[8:] {
		out = append(out, uint(binary.NativeEndian.Uint64(raw)))
	}
	return out
}
