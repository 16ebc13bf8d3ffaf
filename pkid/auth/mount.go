// Package auth keeps the table of the ways to log in: which method is at which
// path below auth/, and with which settings. The methods are packages below; the
// token itself, "token/", is none, and always there.
//
// Start at [Table]; [Table.Login] is where every login ends.
package auth

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/hsmpki/hsmpki/pkid/auth/approle"
	"github.com/hsmpki/hsmpki/pkid/auth/cert"
	"github.com/hsmpki/hsmpki/pkid/auth/jwt"
	"github.com/hsmpki/hsmpki/pkid/mounts"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// Mount is one entry of the table. It is immutable but for what lives there.
type Mount struct {
	Path        string // below auth/, ends in "/"
	Type        string
	UUID        string
	Accessor    string
	Description string
	Options     map[string]string
	Local       bool
	SealWrap    bool
	Config      Config

	*living `json:"-"`
}

// living is what a mount is beside its record; it stays when that is replaced.
type living struct {
	use  sync.RWMutex // held by each request
	gone bool         // under use

	AppRole *approle.Method // nil unless of that type; as the others
	Cert    *cert.Method
	JWT     *jwt.Method // and of kubernetes
}

// Config are a mount's settings.
type Config struct {
	DefaultLeaseTTL   time.Duration // 0: the system's
	MaxLeaseTTL       time.Duration // 0: the system's
	ListingVisibility string
}

// Spec is what a mount is made of.
type Spec struct {
	Path        string
	Type        string
	Description string
	TokenType   string
	Options     map[string]string
	Local       bool
	SealWrap    bool
	Config      Config
}

// Change changes the settings that are not nil.
type Change struct {
	DefaultLeaseTTL, MaxLeaseTTL              *time.Duration
	Description, ListingVisibility, TokenType *string
	Options                                   map[string]string
}

func newMount(s Spec) (*Mount, error) {
	path, err := vaultapi.MountPath(s.Path)
	if err != nil {
		return nil, err
	}
	if path == "token/" {
		return nil, vaultapi.BadRequest("token credential backend cannot be instantiated")
	}
	if !slices.Contains(Types, s.Type) {
		return nil, vaultapi.BadRequest("plugin not found in the catalog: %s; the ways to log in are %s", s.Type, strings.Join(Types, ", "))
	}
	if err := checkTokenType(s.TokenType); err != nil {
		return nil, err
	}
	suffix := make([]byte, 4)
	rand.Read(suffix)
	m := &Mount{
		Path: path, Type: s.Type, UUID: uuid.NewString(), Accessor: "auth_" + s.Type + "_" + hex.EncodeToString(suffix),
		Description: s.Description, Options: s.Options, Local: s.Local, SealWrap: s.SealWrap, Config: s.Config,
	}
	return m, m.check()
}

// with is the mount after a change.
func (m *Mount) with(c Change) (*Mount, error) {
	next := *m
	if c.DefaultLeaseTTL != nil {
		next.Config.DefaultLeaseTTL = *c.DefaultLeaseTTL
	}
	if c.MaxLeaseTTL != nil {
		next.Config.MaxLeaseTTL = *c.MaxLeaseTTL
	}
	if c.Description != nil {
		next.Description = *c.Description
	}
	if c.ListingVisibility != nil {
		next.Config.ListingVisibility = *c.ListingVisibility
	}
	if c.Options != nil {
		next.Options = c.Options
	}
	if c.TokenType != nil {
		if err := checkTokenType(*c.TokenType); err != nil {
			return nil, err
		}
	}
	return &next, next.check()
}

func (m *Mount) check() error {
	settings := mounts.Mount{Config: mounts.Config{
		DefaultLeaseTTL: m.Config.DefaultLeaseTTL, MaxLeaseTTL: m.Config.MaxLeaseTTL, ListingVisibility: m.Config.ListingVisibility,
	}}
	return settings.Check()
}

// checkTokenType takes the one type of token that there is, and the words for
// leaving it to the role.
func checkTokenType(kind string) error {
	switch kind {
	case "", "default", "service", "default-service":
		return nil
	case "batch", "default-batch":
		return vaultapi.BadRequest("token_type=%s: there are no batch tokens", kind)
	}
	return vaultapi.BadRequest("invalid value for 'token_type': %q", kind)
}

// Enter has the mount stay while a request is served, until [Mount.Leave]; false
// if it is gone.
func (m *Mount) Enter() bool {
	m.use.RLock()
	if m.gone {
		m.use.RUnlock()
		return false
	}
	return true
}

// Leave is the end of what [Mount.Enter] began.
func (m *Mount) Leave() { m.use.RUnlock() }
