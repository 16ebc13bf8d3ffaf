package api

import (
	"fmt"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
	"github.com/hsmpki/hsmpki/wire"
)

// testManagedKey finds the key, makes it where there is none and the definition
// allows that, has hsmd sign something of hsmd's own, and verify it.
func testManagedKey(h *Handler, r *request) (*answer, error) {
	kind, err := keyType(r)
	if err != nil {
		return nil, err
	}
	wish, err := wishedScheme(r.params)
	if err != nil {
		return nil, err
	}
	key, err := h.managedKey(r, kind)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, vaultapi.BadRequest("no managed key of type %s has the name %q", kind, keyName(r))
	}
	name := key.Definition.Name
	if key, err = h.Keys.FindOrMake(r.ctx, name, r.id, r.path+" "+r.id); err != nil {
		return nil, err
	}
	scheme, err := wish.of(key)
	if err != nil {
		return nil, err
	}
	_, err = h.Keys.Test(r.ctx, &wire.TestRequest{Key: name, Scheme: scheme, Context: r.path + " " + r.id})
	return nil, err
}

// schemeWish is what use_pss and hash_algorithm ask for, as far as they are
// given.
type schemeWish struct {
	given bool
	pss   bool
	hash  string
}

func wishedScheme(p *vaultapi.Params) (schemeWish, error) {
	w := schemeWish{given: p.Has("use_pss") || p.Has("hash_algorithm"), pss: p.Bool("use_pss", false), hash: p.String("hash_algorithm")}
	switch w.hash {
	case "", "sha2-256", "sha2-384", "sha2-512":
	case "sha1", "sha2-224", "sha3-224", "sha3-256", "sha3-384", "sha3-512":
		return w, vaultapi.BadRequest("hash_algorithm %q: hsmd signs with sha2-256, sha2-384 and sha2-512 only", w.hash)
	default:
		return w, vaultapi.BadRequest("hash_algorithm %q is unknown: it may be sha2-256, sha2-384 or sha2-512", w.hash)
	}
	return w, p.Err()
}

// of gives the scheme of the key that fits the wish; 0, which is the key's
// first, where none was made.
func (w schemeWish) of(key *wire.KeyInfo) (wire.SignatureScheme, error) {
	if !w.given {
		return 0, nil
	}
	for _, scheme := range key.Schemes {
		pss := scheme >= wire.RSAPSSSHA256 && scheme <= wire.RSAPSSSHA512
		hash := ""
		if scheme.Hash() != 0 {
			hash = "sha2-" + fmt.Sprint(scheme.Hash().Size()*8)
		}
		if pss == w.pss && (w.hash == "" || w.hash == hash) {
			return scheme, nil
		}
	}
	return 0, vaultapi.BadRequest("use_pss=%t hash_algorithm=%q: the key signs with %v only", w.pss, w.hash, key.Schemes)
}
