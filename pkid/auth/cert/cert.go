// Package cert is the login by a TLS client certificate (auth/cert). A [Role]
// says which CAs, or which certificates, are trusted, whom of theirs it is about,
// and what he gets. TLS has proven that whoever shows a certificate has its key.
//
// It knows nothing of HTTP, and makes no tokens: a login gives what the token is
// to be. README.md of package auth has what differs from Vault.
package cert

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// Method has the roles and CRLs of one mount. It is safe for concurrent use.
type Method struct {
	Space store.AuthSpace
	Store store.Store
	Now   func() time.Time

	// Revoked tells whether a certificate was issued by one of pkid's own CAs and
	// is revoked. The issuer is nil if it is not known.
	Revoked func(ctx context.Context, cert, issuer *x509.Certificate) (bool, error)

	reading sync.RWMutex
	crls    map[string]*crl // by name; under reading, and nil until they are read
}

// Config is auth/<path>/config, as it is stored.
type Config struct {
	DisableBinding bool `json:"disable_binding"` // a token is renewed whatever certificate is shown
}

// Config gives the configuration.
func (m *Method) Config(ctx context.Context) (c Config, err error) {
	err = m.Store.View(ctx, func(r store.Reader) error {
		_, err := get(r, m.Space.Config(), &c)
		return err
	})
	return c, err
}

// Configure changes what is given of it.
func (m *Method) Configure(ctx context.Context, p *vaultapi.Params) error {
	for _, name := range []string{"enable_identity_alias_metadata", "enable_metadata_on_failures"} {
		if p.Bool(name, false) {
			return vaultapi.BadRequest("%s: there are no entities, and a login that is refused tells nothing of the certificate", name)
		}
	}
	return m.Store.Update(ctx, func(tx store.Tx) error {
		var c Config
		if _, err := get(tx, m.Space.Config(), &c); err != nil {
			return err
		}
		c.DisableBinding = p.Bool("disable_binding", c.DisableBinding)
		if err := p.Err(); err != nil {
			return err
		}
		return put(tx, m.Space.Config(), c)
	})
}

// Role gives a role, nil if there is none.
func (m *Method) Role(ctx context.Context, name string) (role *Role, err error) {
	err = m.Store.View(ctx, func(r store.Reader) error {
		role = &Role{}
		found, err := get(r, m.Space.Role(name), role)
		if !found {
			role = nil
		}
		return err
	})
	return role, err
}

// all gives all roles in order of name.
func (m *Method) all(ctx context.Context) (roles []*Role, err error) {
	start, end := m.Space.Roles()
	err = m.Store.View(ctx, func(r store.Reader) error {
		roles = nil
		return r.Scan(start, end, func(_, value []byte) error {
			role := &Role{}
			roles = append(roles, role)
			return json.Unmarshal(value, role)
		})
	})
	return roles, err
}

// Roles lists the names of the roles.
func (m *Method) Roles(ctx context.Context) (names []string, err error) {
	roles, err := m.all(ctx)
	for _, role := range roles {
		names = append(names, role.Name)
	}
	return names, err
}

// WriteRole makes a role, or changes what is given of one.
func (m *Method) WriteRole(ctx context.Context, name string, p *vaultapi.Params) error {
	return m.Store.Update(ctx, func(tx store.Tx) error {
		role := &Role{Name: name, DisplayName: name}
		if _, err := get(tx, m.Space.Role(name), role); err != nil {
			return err
		}
		if err := role.apply(p); err != nil {
			return err
		}
		return put(tx, m.Space.Role(name), role)
	})
}

// DeleteRole forgets a role; the tokens that it gave go on, and are not renewed.
func (m *Method) DeleteRole(ctx context.Context, name string) error {
	return m.Store.Update(ctx, func(tx store.Tx) error { return tx.Delete(m.Space.Role(name)) })
}

// get reads what is stored under a key, false if nothing is.
func get(r store.Reader, key []byte, to any) (bool, error) {
	raw, err := r.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(raw, to); err != nil {
		return false, fmt.Errorf("%q: %w", key, err)
	}
	return true, nil
}

func put(tx store.Tx, key []byte, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return tx.Put(key, raw)
}
