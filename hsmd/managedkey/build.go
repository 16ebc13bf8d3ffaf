package managedkey

import (
	"errors"
	"reflect"
	"strings"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/wire"
)

// Built is what a configuration and the stored definitions make together.
type Built struct {
	Keys      *Set
	Libraries []*Library    // in the order of the configuration
	AWSKMS    *Library      // what answers for keys in AWS KMS; it has no path, and is not in Libraries
	Wire      *WireRules    // nil without wire_keys
	Internal  *InternalKeys // nil without internal_keys

	// Inactive names the stored keys whose names the configuration has taken.
	// They are in no set and stay stored.
	Inactive []string
}

// Sources are what Build needs besides the configuration.
type Sources struct {
	// Stored are the definitions of the state directory.
	Stored []Record
	// Backend gives the service that answers for a library.
	Backend func(*config.Library) wire.Service
	// AWSKMS answers for keys in AWS KMS. It is the same in all that is built.
	AWSKMS *Library
	// Before is what is in force, nil at the start. Tried is what was built
	// last for the same configuration, and looked for since; nil for nothing.
	Before, Tried *Built
}

// Build reads the PINs and makes the set of keys. Its error joins every fault,
// each with its place in the file. A stored key that the configuration does not
// allow any more is in the set and says why it cannot be used; one whose name
// the configuration has taken is left out.
//
// Libraries and keys that are the same in what was tried, or is in force, are
// taken over from there, with what is known of them.
func Build(c *config.HSMD, s Sources) (*Built, error) {
	b := &Built{Wire: NewWireRules(c.WireKeys), AWSKMS: s.AWSKMS}
	var faults []error
	for i := range c.Libraries {
		b.Libraries = append(b.Libraries, s.library(&c.Libraries[i]))
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
	configured := NewSet(keys...)
	for _, r := range s.Stored {
		if name := r.Definition.Name; configured.Lookup(name) != nil {
			b.Inactive = append(b.Inactive, name)
			continue
		}
		keys = append(keys, b.stored(r, keys))
	}
	b.Keys = NewSet(s.takeOver(keys, b.Wire)...)
	return b, nil
}

// library makes the library of a stanza, or takes the one that is there.
func (s *Sources) library(c *config.Library) *Library {
	l := &Library{Name: c.Name, Path: c.Path, InitArgs: c.InitArgs, MaxSessions: c.MaxSessions, KeyIDLength: c.KeyIDLength, Backend: s.Backend(c)}
	for _, b := range []*Built{s.Tried, s.Before} {
		if b == nil {
			continue
		}
		if there := b.library(c.Name); there != nil && *there == *l {
			return there
		}
	}
	return l
}

// takeOver replaces the keys that are there already. A key that came over the
// wire is found anew where its rules have changed, or there is a key now that
// did not come over the wire: the two may be one, by whatever words each is
// named.
func (s *Sources) takeOver(keys []*Key, rules *WireRules) []*Key {
	if s.Before == nil {
		return keys
	}
	taken, unknown := make([]*Key, len(keys)), !reflect.DeepEqual(s.Before.Wire, rules)
	for i, k := range keys {
		taken[i] = s.Before.alike(k)
		unknown = unknown || taken[i] == nil && k.Source != wire.SourceWire
	}
	for i, k := range keys {
		if taken[i] != nil && !(unknown && k.Source == wire.SourceWire) {
			continue
		}
		if taken[i] = s.Tried.alike(k); taken[i] == nil {
			taken[i] = k
		}
	}
	return taken
}

// alike gives the key that is the same as k in all that was not found.
func (b *Built) alike(k *Key) *Key {
	if b == nil {
		return nil
	}
	there := b.Keys.Lookup(k.Name())
	if there != nil && there.Source == k.Source && there.Owner == k.Owner && there.Library == k.Library &&
		there.Fault == k.Fault && SameDefinition(there, k) && sameCopies(there, k) {
		return there
	}
	return nil
}

// SameDefinition reports whether two keys are defined alike, PIN included.
func SameDefinition(a, b *Key) bool { return reflect.DeepEqual(a.Definition, b.Definition) }

// configured makes the key of a managed_key block.
func (b *Built) configured(c *config.ManagedKey, before []*Key) (*Key, error) {
	d, err := FromConfig(c)
	if err != nil {
		return nil, err
	}
	Normalise(&d)
	if err := Check(&d); err != nil {
		return nil, c.Place.Errorf("", "%s", wire.AsError(err).Message)
	}
	l := b.answers(&d)
	if l == nil {
		return nil, c.Place.Errorf("library", "managed_key %q: there is no kms_library %q", c.Name, d.PKCS11.Library)
	}
	if d.PKCS11 != nil && d.AllowGenerateKey && len(d.PKCS11.KeyID)/2 > l.KeyIDLength {
		return nil, c.Place.Errorf("key_id", "managed_key %q: key_id is longer than the %d octets (key_id_length) that keys made in library %q get", c.Name, l.KeyIDLength, l.Name)
	}
	k := NewKey(d, wire.SourceConfig, l)
	if c.PKCS11 != nil {
		if k.Copies, err = b.copies(k, c.PKCS11); err != nil {
			return nil, err
		}
	}
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
	k := NewKey(d, r.Source, nil)
	k.Owner = r.Owner
	library := b.answers(&d)
	if library == nil {
		k.Fault = "hsmd's configuration has no kms_library " + d.PKCS11.Library
		return k
	}
	if err := b.allow(&d, library); err != nil && (b.Wire == nil || r.Source == wire.SourceWire) {
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

// answers gives what answers for a definition, nil where nothing does.
func (b *Built) answers(d *wire.Definition) *Library {
	if d.AWSKMS != nil {
		return b.AWSKMS
	}
	return b.library(d.PKCS11.Library)
}

// allow applies the rules for what comes over the wire to a stored definition.
func (b *Built) allow(d *wire.Definition, library *Library) error {
	if d.AWSKMS == nil {
		return b.Wire.AllowLibrary(library.Name)
	}
	aws := *d.AWSKMS
	return b.Wire.AllowAWSKMS(&aws)
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
