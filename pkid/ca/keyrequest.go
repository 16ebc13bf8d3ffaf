package ca

import (
	"context"
	"fmt"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// KeyRequest says which key a root or a certification request is to have, or
// which is to be entered.
type KeyRequest struct {
	// Kind is the path's: "kms", "internal", "existing" or "exported".
	Kind string
	// Type and Bits are of "internal": the key to make. TypeGiven says that one
	// of them was in the request, which has no sense where the key is there
	// already.
	Type      string
	Bits      int
	TypeGiven bool
	Name      string // for the entry; "": none
	Ref       string // of "existing"
	// ManagedName and ManagedID are of "kms": one of them.
	ManagedName, ManagedID string
	RequestID              string
}

// requestedKey finds the key, or has it made. If pkid dies after that, the same
// request finds it and goes on. The entry is not stored yet.
func (a *Authority) requestedKey(ctx context.Context, req *KeyRequest) (key *Key, warnings []string, err error) {
	if err := checkName("key", req.Name); err != nil {
		return nil, nil, err
	}
	// Before there is a key that nobody would clear away:
	if req.Kind == "internal" {
		if err := a.view.Load().freeKeyName(req.Name, nil); err != nil {
			return nil, nil, err
		}
	}
	if err := a.cfg.Store.Writable(); err != nil {
		return nil, nil, err
	}
	if key, err = a.keyOfKind(ctx, req); err != nil {
		return nil, nil, err
	}
	// A token may have a key that was made elsewhere, or be one that makes bad
	// keys.
	if err := a.goodKey(key.hsm.Public); err != nil {
		return nil, nil, err
	}
	switch {
	case req.Name == "" || key.Name == req.Name:
	case key.Name == "":
		named := *key
		named.Name = req.Name
		key = &named
	default:
		warnings = append(warnings, fmt.Sprintf("The key is in this mount already with the name %q; use key/ endpoint to update name.", key.Name))
	}
	return key, warnings, a.view.Load().freeKeyName(key.Name, key.SPKI)
}

// CheckKind refuses a kind that there is not, and what makes no sense with one.
// Callers ask before they read the rest of a wish, whose defaults are those of
// a key that is yet to be made.
func (req *KeyRequest) CheckKind() error {
	switch req.Kind {
	case "internal":
		return nil
	case "kms", "existing":
	case "exported":
		return refuse("the type exported is refused: a CA key that can leave is what this program exists to prevent. The key stays in the HSM with the types kms (a managed key that you name) and internal (one that hsmd names)")
	default:
		return refuse("unknown type %q: must be kms, internal or existing", req.Kind)
	}
	switch {
	case req.TypeGiven:
		return refuse("invalid parameter for the kms/existing path parameter, key_type nor key_bits arguments can be set in this mode")
	case req.Kind == "kms" && (req.ManagedName == "") == (req.ManagedID == ""):
		return refuse("one of managed_key_name and managed_key_id must be given, to say which managed key is the CA's")
	case req.Kind == "existing" && req.Ref == "":
		return refuse("missing argument key_ref for existing type")
	}
	return nil
}

func (a *Authority) keyOfKind(ctx context.Context, req *KeyRequest) (*Key, error) {
	if err := req.CheckKind(); err != nil {
		return nil, err
	}
	switch req.Kind {
	case "kms":
		return a.managed(ctx, req.ManagedName, req.ManagedID, req.RequestID)
	case "existing":
		return a.Key(req.Ref)
	}
	return a.internal(ctx, req.Type, req.Bits, req.RequestID)
}

// addKey puts a key's entry into view and store, unless it is there, and gives
// the one that is there then: two requests may have found one key pair at the
// same time. Issuers that lack their key get it.
func (a *Authority) addKey(v *view, tx store.Tx, key *Key) (*Key, error) {
	if err := v.freeKeyName(key.Name, key.SPKI); err != nil {
		return nil, err
	}
	known := v.keyOf(key.SPKI)
	switch {
	case known != nil && (key.Name == "" || known.Name != ""):
		return known, nil
	case known != nil:
		named := *known
		named.Name = key.Name
		key = &named
	}
	v.keys[key.ID] = key
	if err := putJSON(tx, a.space.Key(key.ID), key); err != nil {
		return nil, err
	}
	if v.settings.DefaultKey == "" {
		v.settings.DefaultKey = key.ID
		if err := v.putSettings(tx, a.space); err != nil {
			return nil, err
		}
	}
	return key, a.linkKey(v, tx, key)
}

// linkKey gives a key to the issuers that have its public key and no key.
func (a *Authority) linkKey(v *view, tx store.Tx, key *Key) error {
	for _, i := range v.issuers {
		if i.KeyID != "" || !i.holds(key) {
			continue
		}
		linked := *i
		if err := linked.take(key); err != nil {
			return err
		}
		if err := a.putIssuer(v, tx, &linked); err != nil {
			return err
		}
	}
	return nil
}

// GenerateKey enters a managed key, or has one made (keys/generate/:type).
func (a *Authority) GenerateKey(ctx context.Context, req *KeyRequest) (key *Key, warnings []string, err error) {
	if req.Kind == "existing" {
		return nil, nil, refuse("unknown type %q: must be kms or internal", req.Kind)
	}
	found, warnings, err := a.requestedKey(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	err = a.change(ctx, func(v *view, tx store.Tx) error {
		key, err = a.addKey(v, tx, found)
		return err
	})
	return key, warnings, err
}
