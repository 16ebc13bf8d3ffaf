package managedkey

import (
	"github.com/google/uuid"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/wire"
)

// InternalPrefix begins the names and labels of keys that hsmd names itself.
const InternalPrefix = "internal-"

// InternalKeys is the token on which hsmd makes keys that it names itself.
type InternalKeys struct {
	token wire.PKCS11Definition // without a key
}

// NewInternalKeys takes the internal_keys block, nil for none, and reads the
// token's PIN.
func NewInternalKeys(c *config.InternalKeys) (*InternalKeys, error) {
	if c == nil {
		return nil, nil
	}
	k := &InternalKeys{token: wire.PKCS11Definition{Library: c.Library}}
	return k, tokenFromConfig(&k.token, &c.Token)
}

// Token is how the token is found and logged in to, with the PIN.
func (k *InternalKeys) Token() *wire.PKCS11Definition { return &k.token }

// Definition makes the definition of a new key. Its label ends in the caller's
// id, so that it is found again by a caller who does not know how an earlier
// try ended.
func (k *InternalKeys) Definition(id string, keyType wire.KeyType) (wire.Definition, error) {
	p := k.token
	switch keyType {
	case wire.KeyRSA2048:
		p.Mechanism, p.KeyBits = MechanismRSAPKCS, 2048
	case wire.KeyRSA3072:
		p.Mechanism, p.KeyBits = MechanismRSAPKCS, 3072
	case wire.KeyRSA4096:
		p.Mechanism, p.KeyBits = MechanismRSAPKCS, 4096
	case wire.KeyP256, wire.KeyP384, wire.KeyP521:
		p.Mechanism, p.Curve = MechanismECDSA, string(keyType)
	case wire.KeyEd25519:
		p.Mechanism, p.Curve = MechanismEdDSA, string(keyType)
	case wire.KeyMLDSA44:
		p.Mechanism, p.KeyBits = MechanismMLDSA, 44
	case wire.KeyMLDSA65:
		p.Mechanism, p.KeyBits = MechanismMLDSA, 65
	case wire.KeyMLDSA87:
		p.Mechanism, p.KeyBits = MechanismMLDSA, 87
	default:
		return wire.Definition{}, wire.Errorf(wire.Invalid, "key type %q is none of RSA-2048, RSA-3072, RSA-4096, P256, P384, P521, Ed25519, ML-DSA-44, ML-DSA-65, ML-DSA-87", keyType)
	}
	p.KeyLabel = InternalPrefix + id
	return wire.Definition{Type: "pkcs11", Name: InternalPrefix + id, UUID: uuid.NewString(), AllowGenerateKey: true,
		AnyMount: true, Usages: []string{"sign", "verify"}, PKCS11: &p}, nil
}

// Complete lays the PIN into the stored definition of an internal key. It is
// false where the configuration speaks of another token by now, or of none: the
// PIN of one token is never tried on another.
func (k *InternalKeys) Complete(d wire.Definition) (wire.Definition, bool) {
	if k == nil || d.PKCS11 == nil {
		return d, false
	}
	p, t := *d.PKCS11, &k.token
	if p.Library != t.Library || p.TokenLabel != t.TokenLabel || p.TokenSerial != t.TokenSerial || !sameSlot(p.Slot, t.Slot) {
		return d, false
	}
	p.PIN, p.Login = t.PIN, t.Login
	d.PKCS11 = &p
	return d, true
}

func sameSlot(a, b *uint64) bool { return a == b || a != nil && b != nil && *a == *b }
