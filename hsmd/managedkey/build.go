package managedkey

import (
	"errors"
	"log/slog"
	"strings"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/wire"
)

// Built is what a configuration and the stored definitions make together.
type Built struct {
	Keys      *Set
	Libraries []*Library
	Wire      *WireRules    // nil without wire_keys
	Internal  *InternalKeys // nil without internal_keys
}

// Sources are what Build needs besides the configuration.
type Sources struct {
	// Stored are the definitions of the state directory.
	Stored []Record
	// Backend gives the service that answers for a library.
	Backend func(*config.Library) wire.Service
	// Log hears of stored keys that cannot be used.
	Log *slog.Logger
}

// Build reads the PINs and makes the set of keys. Its error joins every fault,
// each with its place in the file. A stored key that the configuration does not
// allow any more is in the set and says why it cannot be used; one whose name
// the configuration has taken is left out and stays stored.
func Build(c *config.HSMD, s Sources) (*Built, error) {
	b := &Built{Wire: NewWireRules(c.WireKeys)}
	var faults []error
	for i := range c.Libraries {
		l := &c.Libraries[i]
		b.Libraries = append(b.Libraries, &Library{Name: l.Name, Path: l.Path, InitArgs: l.InitArgs, MaxSessions: l.MaxSessions, Backend: s.Backend(l)})
	}
	var err error
	if b.Internal, err = NewInternalKeys(c.InternalKeys); err != nil {
		faults = append(faults, c.InternalKeys.Place.Errorf("pin", "internal_keys: %v", err))
	} else if c.InternalKeys != nil && b.library(c.InternalKeys.Library) == nil {
		faults = append(faults, c.InternalKeys.Place.Errorf("library", "internal_keys: there is no kms_library %q", c.InternalKeys.Library))
	}
	var keys []*Key
	for i := range c.ManagedKeys {
		k, err := b.configured(&c.ManagedKeys[i], keys)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		keys = append(keys, k)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	b.Keys = NewSet(keys...)
	for _, r := range s.Stored {
		name := r.Definition.Name
		if b.Keys.Lookup(name) != nil {
			s.Log.Warn("a stored key is inactive: hsmd's configuration defines one of its name", "key", name)
			continue
		}
		k := b.stored(r, keys)
		if k.Library == nil {
			s.Log.Warn("a stored key cannot be used", "key", name, "reason", k.Fault)
		}
		keys = append(keys, k)
	}
	b.Keys = NewSet(keys...)
	return b, nil
}

// configured makes the key of a managed_key block.
func (b *Built) configured(c *config.ManagedKey, before []*Key) (*Key, error) {
	d, err := FromConfig(c)
	if err != nil {
		return nil, c.Place.Errorf("pin", "managed_key %q: %v", c.Name, err)
	}
	Normalise(&d)
	if err := Check(&d); err != nil {
		return nil, c.Place.Errorf("", "%s", wire.AsError(err).Message)
	}
	l := b.library(d.PKCS11.Library)
	if l == nil {
		return nil, c.Place.Errorf("library", "managed_key %q: there is no kms_library %q", c.Name, d.PKCS11.Library)
	}
	k := NewKey(d, wire.SourceConfig, l, nil)
	for _, other := range before {
		if NamesSameKey(k, other) {
			return nil, c.Place.Errorf("", "managed_key %q names the same key as managed_key %q", c.Name, other.Name())
		}
	}
	return k, nil
}

// stored makes the key of a stored definition, under the rules of today.
func (b *Built) stored(r Record, others []*Key) *Key {
	d := r.Definition
	k := NewKey(d, r.Source, nil, nil)
	k.Owner = r.Owner
	library := b.library(d.PKCS11.Library)
	if library == nil {
		k.Fault = "hsmd's configuration has no kms_library " + d.PKCS11.Library
		return k
	}
	if err := b.Wire.AllowLibrary(library.Name); err != nil && (b.Wire == nil || r.Source == wire.SourceWire) {
		k.Fault = wire.AsError(err).Message
		return k
	}
	if r.Source == wire.SourceInternal {
		whole, ok := b.Internal.Complete(d)
		if !ok {
			k.Fault = "it is not on the token that internal_keys in hsmd's configuration names"
			return k
		}
		k.Definition = whole
	}
	k.Library = library
	for _, other := range others {
		if other.Source != wire.SourceWire && r.Source == wire.SourceWire && NamesSameKey(k, other) {
			k.Library, k.Fault = nil, "it is the key that is named "+other.Name()
			return k
		}
	}
	return k
}

func (b *Built) library(name string) *Library { return FindLibrary(b.Libraries, name) }

// FindLibrary finds a stanza by name, in whatever case; nil where there is none.
func FindLibrary(libraries []*Library, name string) *Library {
	for _, l := range libraries {
		if strings.EqualFold(l.Name, name) {
			return l
		}
	}
	return nil
}
