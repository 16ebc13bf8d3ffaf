package managedkey

import (
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/wire"
)

// WireRules bound what can be defined over the wire.
type WireRules struct {
	libraries []string
	tokens    []string
	regions   []string
	endpoints []string
	maxKeys   int
}

// NewWireRules takes the wire_keys block, nil for none.
func NewWireRules(c *config.WireKeys) *WireRules {
	if c == nil {
		return nil
	}
	r := &WireRules{libraries: c.Libraries, tokens: c.Tokens, regions: c.Regions, maxKeys: c.MaxKeys}
	for _, e := range c.Endpoints {
		r.endpoints = append(r.endpoints, strings.TrimSuffix(e, "/"))
	}
	return r
}

// AllowLibrary says whether a key of the named library may be defined. On nil
// rules it refuses every one.
func (r *WireRules) AllowLibrary(name string) error {
	switch {
	case r == nil:
		return wire.Errorf(wire.Denied, "hsmd's configuration has no wire_keys block, so no key can be defined through the API")
	case slices.Contains(r.libraries, "*"):
		return nil
	case !slices.ContainsFunc(r.libraries, func(l string) bool { return strings.EqualFold(l, name) }):
		return wire.Errorf(wire.Denied, "library %q is not among the libraries of hsmd's wire_keys", name)
	}
	return nil
}

// AllowToken says whether a key on the token with this label may be defined.
func (r *WireRules) AllowToken(label string) error {
	if slices.Contains(r.tokens, "*") || slices.Contains(r.tokens, label) {
		return nil
	}
	return wire.Errorf(wire.Denied, "token %q is not among the tokens of hsmd's wire_keys", label)
}

// AllowCount says whether n keys may be defined.
func (r *WireRules) AllowCount(n int) error {
	if n > r.maxKeys {
		return wire.Errorf(wire.Denied, "hsmd's wire_keys allows %d keys (max_keys), which are there already", r.maxKeys)
	}
	return nil
}

// CheckWire is [Check] with the rules for a definition that came over the wire:
// its PIN is literal, and the names that hsmd gives are hsmd's.
func CheckWire(d *wire.Definition) error {
	if err := Check(d); err != nil {
		return err
	}
	if slices.ContainsFunc(secretsOf(d), func(s string) bool { return config.NewSecret(s).Reference() != "" }) {
		return wire.Errorf(wire.Invalid, "managed key %q: a PIN or credential given through the API is literal; file: and env: are for hsmd's configuration", d.Name)
	}
	if strings.HasPrefix(d.Name, InternalPrefix) {
		return wire.Errorf(wire.Invalid, "managed key %q: names that begin with %q are those of keys that hsmd names itself", d.Name, InternalPrefix)
	}
	return nil
}

func secretsOf(d *wire.Definition) []string {
	if d.AWSKMS != nil {
		return []string{d.AWSKMS.AccessKey, d.AWSKMS.SecretKey}
	}
	return []string{d.PKCS11.PIN}
}
