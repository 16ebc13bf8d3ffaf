package managedkey

import (
	"sync/atomic"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/wire"
)

// Copy is one of the tokens that hold the key pair of a key which is on more
// than one. To its library it is a key like any other, with a definition and a
// handle of its own; what is found there is known of the copy alone.
type Copy struct {
	*Key

	// UnderWay counts the signatures that it was asked for and has not answered.
	UnderWay atomic.Int64
	// Looking is true while somebody looks whether it is there again.
	Looking atomic.Bool

	away atomic.Pointer[Away]
}

// Away is why a copy is not used, and until when nobody looks whether it is
// there again.
type Away struct {
	Err   error
	Since time.Time
	Again time.Time
}

// Away is nil for a copy that is used.
func (c *Copy) Away() *Away { return c.away.Load() }

// SetAway takes a copy out of use; nil puts it back. It gives what was.
func (c *Copy) SetAway(a *Away) *Away { return c.away.Swap(a) }

// copies makes the copies of a configured key: its own token first, where alone a
// key is made, and then those of its copy blocks.
func (b *Built) copies(k *Key, c *config.PKCS11Key) ([]*Copy, error) {
	if len(c.Copies) == 0 {
		return nil, nil
	}
	all := []*Copy{{Key: NewKey(k.Definition, k.Source, k.Library)}}
	for i := range c.Copies {
		block := &c.Copies[i]
		p := *k.Definition.PKCS11
		if block.Library != "" {
			p.Library = block.Library
		}
		if block.KeyLabel != "" || block.KeyID != "" {
			p.KeyLabel, p.KeyID = block.KeyLabel, block.KeyID
		}
		p.PIN, p.GenerateMechanism = "", 0
		if err := tokenFromConfig(&p, &block.Token); err != nil {
			return nil, block.Place.Errorf("pin", "managed_key %q: copy: %v", k.Name(), err)
		}
		d := k.Definition
		d.AllowGenerateKey, d.PKCS11 = false, &p
		if err := Check(&d); err != nil {
			return nil, block.Place.Errorf("", "copy: %s", wire.AsError(err).Message)
		}
		l := b.library(p.Library)
		if l == nil {
			return nil, block.Place.Errorf("library", "managed_key %q: copy: there is no kms_library %q", k.Name(), p.Library)
		}
		next := &Copy{Key: NewKey(d, k.Source, l)}
		for _, other := range all {
			if other.Library.Backend == l.Backend && maybeSameToken(other.Definition.PKCS11, &p) {
				return nil, block.Place.Errorf("", "managed_key %q: a copy may be on the same token as another (%s of library %q)", k.Name(), p.Selector(), l.Name)
			}
		}
		all = append(all, next)
	}
	return all, nil
}

// Places are the keys that libraries have for k: its copies, or k itself.
func (k *Key) Places() []*Key {
	if k.Copies == nil {
		return []*Key{k}
	}
	places := make([]*Key, len(k.Copies))
	for i, c := range k.Copies {
		places[i] = c.Key
	}
	return places
}

// sameCopies reports whether two keys have the same copies.
func sameCopies(a, b *Key) bool {
	if len(a.Copies) != len(b.Copies) {
		return false
	}
	for i, c := range a.Copies {
		if c.Library != b.Copies[i].Library || !SameDefinition(c.Key, b.Copies[i].Key) {
			return false
		}
	}
	return true
}
