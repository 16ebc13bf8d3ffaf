// Package mounts keeps the mount table and what lives at each path: a
// certificate authority, for type "pki". It knows paths and settings, and
// nothing of certificates.
//
// Start at [Table].
package mounts

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/ocsp"
	"github.com/hsmpki/hsmpki/pkid/tidy"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// SystemTTL is the default and the longest lease TTL of a mount that says none.
const SystemTTL = 768 * time.Hour

// Mount is one entry of the table. It is immutable.
type Mount struct {
	Path        string // ends in "/"
	Type        string
	UUID        string
	Accessor    string
	Description string
	Options     map[string]string
	Local       bool
	SealWrap    bool
	BuiltIn     bool `json:"-"`
	Config      Config
	Authority   *ca.Authority   `json:"-"` // nil where BuiltIn
	Tidier      *tidy.Tidier    `json:"-"` // nil where BuiltIn
	Responder   *ocsp.Responder `json:"-"` // nil where BuiltIn
}

// Config are a mount's settings.
type Config struct {
	DefaultLeaseTTL           time.Duration // 0: SystemTTL
	MaxLeaseTTL               time.Duration // 0: SystemTTL
	ForceNoCache              bool
	AllowedManagedKeys        []string
	PassthroughRequestHeaders []string
	AllowedResponseHeaders    []string
	AuditNonHMACRequestKeys   []string
	AuditNonHMACResponseKeys  []string
	ListingVisibility         string
}

// Spec is what a mount is made of.
type Spec struct {
	Path        string
	Type        string
	Description string
	Config      Config
	Options     map[string]string
	Local       bool
	SealWrap    bool
}

// Change changes the settings that are not nil.
type Change struct {
	DefaultLeaseTTL, MaxLeaseTTL                                          *time.Duration
	Description                                                           *string
	ForceNoCache                                                          *bool
	AllowedManagedKeys, PassthroughRequestHeaders, AllowedResponseHeaders *[]string
	AuditNonHMACRequestKeys, AuditNonHMACResponseKeys                     *[]string
	ListingVisibility                                                     *string
	Options                                                               map[string]string
}

// EffectiveTTLs are the mount's TTLs with the system's where it has none. A
// maximum below the system's default pulls that down.
func (m *Mount) EffectiveTTLs() (byDefault, longest time.Duration) {
	byDefault, longest = m.Config.DefaultLeaseTTL, m.Config.MaxLeaseTTL
	if longest == 0 {
		longest = SystemTTL
	}
	if byDefault == 0 {
		byDefault = min(SystemTTL, longest)
	}
	return byDefault, longest
}

func (m *Mount) limits() ca.Limits {
	byDefault, longest := m.EffectiveTTLs()
	return ca.Limits{DefaultTTL: byDefault, MaxTTL: longest, AllowedManagedKeys: m.Config.AllowedManagedKeys}
}

// with is the mount after a change.
func (m *Mount) with(c Change) (*Mount, error) {
	next := *m
	set(&next.Description, c.Description)
	set(&next.Config.DefaultLeaseTTL, c.DefaultLeaseTTL)
	set(&next.Config.MaxLeaseTTL, c.MaxLeaseTTL)
	set(&next.Config.ForceNoCache, c.ForceNoCache)
	set(&next.Config.AllowedManagedKeys, c.AllowedManagedKeys)
	set(&next.Config.PassthroughRequestHeaders, c.PassthroughRequestHeaders)
	set(&next.Config.AllowedResponseHeaders, c.AllowedResponseHeaders)
	set(&next.Config.AuditNonHMACRequestKeys, c.AuditNonHMACRequestKeys)
	set(&next.Config.AuditNonHMACResponseKeys, c.AuditNonHMACResponseKeys)
	set(&next.Config.ListingVisibility, c.ListingVisibility)
	if c.Options != nil {
		next.Options = c.Options
	}
	return &next, next.Check()
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// Check refuses settings that make no sense together.
func (m *Mount) Check() error {
	if byDefault, longest := m.EffectiveTTLs(); byDefault > longest {
		return vaultapi.BadRequest("given default lease TTL of %d greater than max lease TTL of %d", int(byDefault.Seconds()), int(longest.Seconds()))
	}
	switch m.Config.ListingVisibility {
	case "", "unauth", "hidden":
	default:
		return vaultapi.BadRequest("invalid listing visibility type %q: must be unauth, hidden or empty", m.Config.ListingVisibility)
	}
	return nil
}

func newMount(s Spec) (*Mount, error) {
	path, err := clean(s.Path)
	if err != nil {
		return nil, err
	}
	if s.Type != "pki" {
		return nil, vaultapi.BadRequest("plugin not found in the catalog: %s", s.Type)
	}
	suffix := make([]byte, 4)
	rand.Read(suffix)
	m := &Mount{
		Path: path, Type: s.Type, UUID: uuid.NewString(), Accessor: s.Type + "_" + hex.EncodeToString(suffix),
		Description: s.Description, Options: s.Options, Local: s.Local, SealWrap: s.SealWrap, Config: s.Config,
	}
	return m, m.Check()
}

// reserved are first segments that are not for mounts.
var reserved = []string{"sys", "cubbyhole", "identity", "auth", "audit"}

// clean gives a mount's path as the table has it, with a slash at its end.
func clean(path string) (string, error) {
	path, err := vaultapi.MountPath(path)
	if err != nil {
		return "", err
	}
	if first, _, _ := strings.Cut(path, "/"); slices.Contains(reserved, first) {
		return "", vaultapi.BadRequest("path %q is reserved: cannot mount at %s", strings.TrimSuffix(path, "/"), path)
	}
	return path, nil
}

// builtIn are the mounts that are always there; clients look for them. Their
// ids follow from that of the state, and sys/ has that one itself.
func builtIn(cluster uuid.UUID) []*Mount {
	mount := func(path, kind, description string) *Mount {
		id := cluster
		if path != "sys/" {
			id = uuid.NewSHA1(cluster, []byte(path))
		}
		return &Mount{Path: path, Type: kind, UUID: id.String(), Accessor: kind + "_" + hex.EncodeToString(id[:4]), Description: description, BuiltIn: true}
	}
	cubbyhole := mount("cubbyhole/", "cubbyhole", "per-token private secret storage")
	cubbyhole.Local = true
	return []*Mount{
		cubbyhole,
		mount("identity/", "identity", "identity store"),
		mount("sys/", "system", "system endpoints used for control, policy and debugging"),
	}
}

func decode(value []byte) (*Mount, error) {
	m := new(Mount)
	if err := json.Unmarshal(value, m); err != nil {
		return nil, fmt.Errorf("a mount's record: %w", err)
	}
	return m, nil
}
