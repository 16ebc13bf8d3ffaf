package ca

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// RenameKey gives a key's entry another name, or none.
func (a *Authority) RenameKey(ctx context.Context, ref, name string) (key *Key, warnings []string, err error) {
	if err := checkName("key", name); err != nil {
		return nil, nil, err
	}
	err = a.change(ctx, func(v *view, tx store.Tx) error {
		old, err := v.key(ref)
		if err != nil {
			return err
		}
		if err := v.freeKeyName(name, old.SPKI); err != nil {
			return err
		}
		warnings = nil
		if name == "" && old.Name != "" {
			warnings = []string{fmt.Sprintf("Name successfully deleted, you cannot reference this key by the old name %q anymore.", old.Name)}
		}
		next := *old
		next.Name = name
		key = &next
		v.keys[key.ID] = key
		return putJSON(tx, a.space.Key(key.ID), key)
	})
	return key, warnings, err
}

// DeleteKey forgets a key's entry; the key in the HSM stays. One that is not
// there is no error, one that an issuer has is.
func (a *Authority) DeleteKey(ctx context.Context, ref string) (warnings []string, err error) {
	err = a.change(ctx, func(v *view, tx store.Tx) error {
		warnings = nil
		k := v.findKey(ref)
		if k == nil {
			return nil
		}
		for _, id := range slices.Sorted(maps.Keys(v.issuers)) {
			if v.issuers[id].KeyID == k.ID {
				return refuse("Failed to Delete Key.  Key in Use by Issuer: %s", id)
			}
		}
		delete(v.keys, k.ID)
		if v.settings.DefaultKey == k.ID {
			v.settings.DefaultKey = ""
			warnings = append(warnings, fmt.Sprintf("Deleted key %s (via key_ref %s); this was configured as the default key. Operations without an explicit key will not work until a new default is configured.", k.ID, ref))
			if err := v.putSettings(tx, a.space); err != nil {
				return err
			}
		}
		return tx.Delete(a.space.Key(k.ID))
	})
	return warnings, err
}
