package ca

import (
	"context"
	"fmt"
	"slices"

	"github.com/hsmpki/hsmpki/wire"
)

// managed finds the key pair of a managed key, given by name or UUID, and has
// it made where it is missing and its definition allows that.
func (a *Authority) managed(ctx context.Context, name, uuid, requestID string) (*Key, error) {
	info, err := a.describe(ctx, name, uuid)
	if err != nil {
		return nil, err
	}
	d := &info.Definition
	if own := a.view.Load().internalKey(d.Name); own != nil {
		return own, nil
	}
	if err := a.mayUse(d.Name, anyMount(info)); err != nil {
		return nil, err
	}
	found, err := a.cfg.Keys.FindOrMake(ctx, d.Name, requestID, a.cfg.UUID+" "+requestID)
	if err != nil {
		return nil, err
	}
	return a.entry(found, false)
}

// internalKey is the entry of a key that hsmd made for this mount.
func (v *view) internalKey(name string) *Key {
	for _, k := range v.keys {
		if k.Internal && k.ManagedName == name {
			return k
		}
	}
	return nil
}

// maxManaged bounds the name and the UUID of a managed key, in octets.
const maxManaged = 255

func (a *Authority) describe(ctx context.Context, name, uuid string) (*wire.KeyInfo, error) {
	for field, value := range map[string]string{"managed_key_name": name, "managed_key_id": uuid} {
		if len(value) > maxManaged {
			return nil, refuse("%s: a value of %d octets, where %d are possible", field, len(value), maxManaged)
		}
	}
	// All that this client may use are asked for only where a UUID is to be
	// found among them.
	response, err := a.cfg.Keys.Describe(ctx, &wire.DescribeRequest{Key: name})
	if err != nil {
		return nil, err
	}
	for i := range response.Keys {
		d := &response.Keys[i].Definition
		if name != "" && d.Name == name || name == "" && d.UUID == uuid {
			return &response.Keys[i], nil
		}
	}
	return nil, refuse("no managed key found with name %q or id %q", name, uuid)
}

// internal has hsmd make a key of its own naming. The request's id is in the
// name, so that asking again gives the same key.
func (a *Authority) internal(ctx context.Context, keyType string, bits int, requestID string) (*Key, error) {
	kind, ok := map[string]wire.KeyType{
		"rsa2048": wire.KeyRSA2048, "rsa3072": wire.KeyRSA3072, "rsa4096": wire.KeyRSA4096,
		"ec256": wire.KeyP256, "ec384": wire.KeyP384, "ec521": wire.KeyP521, "ed255190": wire.KeyEd25519,
		"ml-dsa44": wire.KeyMLDSA44, "ml-dsa65": wire.KeyMLDSA65, "ml-dsa87": wire.KeyMLDSA87,
	}[fmt.Sprintf("%s%d", keyType, bits)]
	if !ok {
		return nil, refuse("a CA key of key_type %s and key_bits %d is not made in an HSM here; rsa 2048, 3072 and 4096, ec 256, 384 and 521, ed25519, and ml-dsa 44, 65 and 87 are", keyType, bits)
	}
	made, err := a.cfg.Keys.Generate(ctx, &wire.GenerateRequest{ID: requestID, Type: kind, Context: a.cfg.UUID + " " + requestID})
	if err != nil {
		return nil, err
	}
	return a.entry(&made.Key, true)
}

// entry is the mount's entry for a key pair: the one that there is, or one to
// be stored with whatever it is needed for.
func (a *Authority) entry(info *wire.KeyInfo, internal bool) (*Key, error) {
	if known := a.view.Load().keyOf(info.PublicKey); known != nil {
		return known, nil
	}
	k := &Key{
		ID: newID(), ManagedName: info.Definition.Name, ManagedUUID: info.Definition.UUID, Internal: internal, SPKI: info.PublicKey,
		PSSOnly: len(info.Schemes) > 0 && !slices.ContainsFunc(info.Schemes, func(s wire.SignatureScheme) bool { return !isPSS(s) }),
	}
	return k, k.complete()
}

func isPSS(s wire.SignatureScheme) bool {
	return s == wire.RSAPSSSHA256 || s == wire.RSAPSSSHA384 || s == wire.RSAPSSSHA512
}
