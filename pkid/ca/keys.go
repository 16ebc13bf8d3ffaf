package ca

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/hsm"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/wire"
)

// Key is a mount's entry for a key pair at hsmd. It is immutable, and there is
// one for each key pair, however many issuers use it.
type Key struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// ManagedName and ManagedUUID are hsmd's; Internal says that hsmd made the
	// key for this mount and named it.
	ManagedName string `json:"managed_key_name"`
	ManagedUUID string `json:"managed_key_id"`
	Internal    bool   `json:"internal"`
	SPKI        []byte `json:"public_key"`
	// PSSOnly says that the key makes RSA-PSS signatures and no others.
	PSSOnly bool `json:"pss_only,omitempty"`

	hsm hsm.Key
}

func decodeKey(value []byte) (*Key, error) {
	k := new(Key)
	if err := json.Unmarshal(value, k); err != nil {
		return nil, err
	}
	return k, k.complete()
}

func (k *Key) complete() error {
	var err error
	k.hsm, err = hsm.NewKey(k.ManagedName, k.SPKI)
	return err
}

// Type is the key's type in the words of the API: rsa, ec, ed25519 or
// ml-dsa.
func (k *Key) Type() string {
	switch k.hsm.Public.(type) {
	case *rsa.PublicKey:
		return role.KeyRSA
	case *ecdsa.PublicKey:
		return role.KeyEC
	case ed25519.PublicKey:
		return role.KeyEd25519
	case *mldsa.PublicKey:
		return role.KeyMLDSA
	}
	return fmt.Sprintf("%T", k.hsm.Public)
}

// Keys lists the mount's keys in order of id, and the default's id.
func (a *Authority) Keys() (all []*Key, defaultID string) {
	v := a.view.Load()
	for _, k := range v.keys {
		all = append(all, k)
	}
	slices.SortFunc(all, func(x, y *Key) int { return strings.Compare(x.ID, y.ID) })
	return all, v.settings.DefaultKey
}

// Key finds a key by id, name or "default".
func (a *Authority) Key(ref string) (*Key, error) { return a.view.Load().key(ref) }

func (v *view) key(ref string) (*Key, error) {
	if k := v.findKey(ref); k != nil {
		return k, nil
	}
	if strings.EqualFold(ref, "default") {
		return nil, refuse("no default key currently configured")
	}
	return nil, refuse("unable to find PKI key for reference: %s", ref)
}

// findKey is key with nil for what is not there.
func (v *view) findKey(ref string) *Key {
	if strings.EqualFold(ref, "default") {
		ref = v.settings.DefaultKey
	}
	if k := v.keys[ref]; k != nil {
		return k
	}
	for _, k := range v.keys {
		if k.Name != "" && k.Name == ref {
			return k
		}
	}
	return nil
}

func (v *view) keyOf(spki []byte) *Key {
	for _, k := range v.keys {
		if bytes.Equal(k.SPKI, spki) {
			return k
		}
	}
	return nil
}

// HasKey tells whether a SubjectPublicKeyInfo is that of one of the mount's
// keys.
func (a *Authority) HasKey(spki []byte) bool { return a.view.Load().keyOf(spki) != nil }

// permission is what hsmd last said of a managed key's any_mount.
type permission struct {
	anyMount bool
	at       time.Time
}

// permissionAge is how old that may be.
const permissionAge = time.Minute

// signer gives the key for one act, if the mount may still use it. Taking a
// managed key off the mount's list stops its issuers at once.
func (a *Authority) signer(ctx context.Context, k *Key, use string) (*hsm.Signer, error) {
	if err := a.permitted(ctx, k); err != nil {
		return nil, err
	}
	return a.cfg.Keys.Signer(ctx, k.hsm, use), nil
}

func (a *Authority) permitted(ctx context.Context, k *Key) error {
	if k.Internal || slices.Contains(a.limits.Load().AllowedManagedKeys, k.ManagedName) {
		return nil
	}
	if known, ok := a.access.Load(k.ManagedName); ok && a.cfg.Now().Sub(known.(*permission).at) < permissionAge {
		return a.mayUse(k.ManagedName, known.(*permission).anyMount)
	}
	response, err := a.cfg.Keys.Describe(ctx, &wire.DescribeRequest{Key: k.ManagedName})
	if err != nil {
		return err
	}
	if len(response.Keys) != 1 {
		return wire.Errorf(wire.UnknownKey, "no managed key %q", k.ManagedName)
	}
	allowed := anyMount(&response.Keys[0])
	a.access.Store(k.ManagedName, &permission{allowed, a.cfg.Now()})
	return a.mayUse(k.ManagedName, allowed)
}

// anyMount reports whether hsmd lets every mount use a key. One that it made for
// a mount is that mount's alone, whoever learns its name.
func anyMount(info *wire.KeyInfo) bool {
	return info.Definition.AnyMount && info.Source != wire.SourceInternal
}

func (a *Authority) mayUse(name string, anyMount bool) error {
	if anyMount || slices.Contains(a.limits.Load().AllowedManagedKeys, name) {
		return nil
	}
	return refuse("managed key %q is not allowed for this mount: list it in the mount's allowed_managed_keys (secrets tune -allowed-managed-keys=%s), or define it with any_mount", name, name)
}

// SetDefaultKey makes the key with this reference the default.
func (a *Authority) SetDefaultKey(ctx context.Context, ref string) error {
	if strings.EqualFold(ref, "default") {
		return refuse("reference must be to a key by id or name, not to the default")
	}
	return a.change(ctx, func(v *view, tx store.Tx) error {
		k, err := v.key(ref)
		if err != nil {
			return err
		}
		v.settings.DefaultKey = k.ID
		return v.putSettings(tx, a.space)
	})
}

// SubjectKeyID is the key identifier that certificates for the key have (RFC
// 5280, section 4.2.1.2, method 1).
func (k *Key) SubjectKeyID() ([]byte, error) { return issuance.KeyID(k.hsm.Public) }
