package jwt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/hsmpki/hsmpki/pkid/identity"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/token"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// ErrNotConfigured is of a login before the first write to config.
var ErrNotConfigured = errors.New("could not load configuration")

// Settings are what a Method is made of.
type Settings struct {
	Store store.Store
	Space store.AuthSpace
	Now   func() time.Time
	Log   *slog.Logger
}

// Method is the login at one mount, with its configuration and its roles.
type Method struct {
	Settings

	mu       sync.Mutex
	verifier *Verifier
	of       []byte // the stored configuration that the verifier was made by
}

// NewMethod makes the login of a mount. Nothing is read before it is needed.
func NewMethod(s Settings) *Method { return &Method{Settings: s} }

// Config gives the configuration; nil, if there is none yet.
func (m *Method) Config(ctx context.Context) (*Config, error) {
	cfg, _, err := m.config(ctx)
	return cfg, err
}

func (m *Method) config(ctx context.Context) (cfg *Config, raw []byte, err error) {
	err = m.Store.View(ctx, func(r store.Reader) error {
		raw, err = read(r, m.Space.Config(), &cfg)
		return err
	})
	return cfg, raw, err
}

// Configure replaces the configuration. A warning says that its keys cannot be
// fetched now; they may be later.
func (m *Method) Configure(ctx context.Context, cfg *Config) (warning string, err error) {
	raw, err := json.Marshal(cfg)
	if err != nil {
		return "", err
	}
	if err := m.Store.Update(ctx, func(tx store.Tx) error { return tx.Put(m.Space.Config(), raw) }); err != nil {
		return "", err
	}
	v, err := m.verifierOf(cfg, raw)
	if err != nil {
		return "", err
	}
	if _, err := v.keys.find(ctx, ""); err != nil {
		return fmt.Sprintf("%v; logins fail until they can", err), nil
	}
	return "", nil
}

// verifierOf gives the verifier of a configuration, which keeps the keys that it
// fetched while the configuration stays as it is.
func (m *Method) verifierOf(cfg *Config, raw []byte) (*Verifier, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.verifier != nil && bytes.Equal(raw, m.of) {
		return m.verifier, nil
	}
	v, err := NewVerifier(cfg, m.Log, m.Now)
	if err != nil {
		return nil, err
	}
	m.verifier, m.of = v, raw
	return v, nil
}

// Role gives a role, nil if there is none.
func (m *Method) Role(ctx context.Context, name string) (role *Role, err error) {
	err = m.Store.View(ctx, func(r store.Reader) error {
		_, err := read(r, m.Space.Role(name), &role)
		return err
	})
	return role, err
}

// ChangeRole makes a role or changes it; change is given the one there is, or an
// empty one, and may run twice.
func (m *Method) ChangeRole(ctx context.Context, name string, change func(*Role) error) error {
	return m.Store.Update(ctx, func(tx store.Tx) error {
		role := &Role{}
		if _, err := read(tx, m.Space.Role(name), &role); err != nil {
			return err
		}
		if err := change(role); err != nil {
			return err
		}
		raw, err := json.Marshal(role)
		if err != nil {
			return err
		}
		return tx.Put(m.Space.Role(name), raw)
	})
}

// DeleteRole forgets a role; the tokens that it gave go on.
func (m *Method) DeleteRole(ctx context.Context, name string) error {
	return m.Store.Update(ctx, func(tx store.Tx) error { return tx.Delete(m.Space.Role(name)) })
}

// Roles lists the names of the roles.
func (m *Method) Roles(ctx context.Context) (names []string, err error) {
	start, end := m.Space.Roles()
	err = m.Store.View(ctx, func(r store.Reader) error {
		names = nil
		return r.Scan(start, end, func(key, _ []byte) error {
			names = append(names, string(key[len(start):]))
			return nil
		})
	})
	return names, err
}

// read decodes what lies under a key, if anything does.
func read(r store.Reader, key []byte, into any) ([]byte, error) {
	raw, err := r.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return raw, json.Unmarshal(raw, into)
}

// Refusal is a login that does not pass. The reason is for the log.
type Refusal struct{ Reason error }

func (r *Refusal) Error() string { return r.Reason.Error() }

// Unwrap gives the reason.
func (r *Refusal) Unwrap() error { return r.Reason }

// Login says what token a JWT gives by a role; by the configuration's, if none is
// named. The JWT is verified before the role is looked for, so that a stranger
// who has none that is genuine learns nothing of the roles.
func (m *Method) Login(ctx context.Context, name, jwt string, from netip.Addr) (token.Spec, error) {
	cfg, raw, err := m.config(ctx)
	switch {
	case err != nil:
		return token.Spec{}, err
	case cfg == nil:
		return token.Spec{}, &Refusal{ErrNotConfigured}
	}
	if name == "" {
		name = cfg.DefaultRole
	}
	if name = strings.ToLower(name); name == "" {
		return token.Spec{}, vaultapi.BadRequest("missing role")
	}
	v, err := m.verifierOf(cfg, raw)
	if err != nil {
		return token.Spec{}, err
	}
	claims, err := v.Verify(ctx, jwt)
	if errors.Is(err, ErrNoKeys) || ctx.Err() != nil {
		return token.Spec{}, err
	}
	if err != nil {
		return token.Spec{}, &Refusal{err}
	}
	role, err := m.Role(ctx, name)
	switch {
	case err != nil:
		return token.Spec{}, err
	case role == nil:
		return token.Spec{}, &Refusal{fmt.Errorf("role %q could not be found", shorten(name))}
	case !role.Token.From(from):
		return token.Spec{}, &Refusal{errors.New("the role takes no logins from this address")}
	}
	login, err := role.Admit(claims, m.Now())
	if err != nil {
		return token.Spec{}, &Refusal{fmt.Errorf("role %q: %w", name, err)}
	}
	spec := role.Token.Spec()
	spec.DisplayName, spec.Meta = login.User, login.Meta
	spec.Meta["role"] = name
	spec.Alias = &identity.Alias{Name: login.User, Metadata: spec.Meta}
	return spec, nil
}
