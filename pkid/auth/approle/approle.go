// Package approle is the login of a machine by two parts: a role_id, which says
// what it is, and a secret_id, which is handed to it (auth/approle). It knows
// nothing of HTTP, and makes no tokens: a login gives what the token is to be.
//
// A secret id is stored under a hash that is keyed with its role's id; it is
// given once, by [Method.MakeSecretID], and kept nowhere. README.md has what
// differs from Vault.
package approle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// maxID bounds a role_id and a secret_id, in octets.
const maxID = 4096

// Method has the roles of one mount. It is safe for concurrent use.
type Method struct {
	Space store.AuthSpace
	Store store.Store
	Now   func() time.Time
}

// Role gives a role, nil if there is none.
func (m *Method) Role(ctx context.Context, name string) (role *Role, err error) {
	err = m.Store.View(ctx, func(r store.Reader) error { role, err = m.read(r, name); return err })
	return role, err
}

func (m *Method) read(r store.Reader, name string) (*Role, error) {
	raw, err := r.Get(m.Space.Role(name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	role := &Role{}
	if err := json.Unmarshal(raw, role); err != nil {
		return nil, fmt.Errorf("role %q: %w", name, err)
	}
	return role, nil
}

// need is read of a role that has to be there.
func (m *Method) need(r store.Reader, name string) (*Role, error) {
	role, err := m.read(r, name)
	if err == nil && role == nil {
		err = vaultapi.BadRequest("role %q does not exist", name)
	}
	return role, err
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

// WriteRole makes a role, or changes what is given of one; only the latter if it
// must exist.
func (m *Method) WriteRole(ctx context.Context, name string, p *vaultapi.Params, mustExist bool) error {
	id, roleID := uuid.NewString(), uuid.NewString()
	return m.Store.Update(ctx, func(tx store.Tx) error {
		role, err := m.read(tx, name)
		if err != nil {
			return err
		}
		fresh := role == nil
		if fresh {
			if mustExist {
				return vaultapi.NotFound()
			}
			role = &Role{ID: id, Name: name, RoleID: roleID, BindSecretID: true}
		}
		before := role.RoleID
		if err := role.apply(p, fresh); err != nil {
			return err
		}
		if fresh || role.RoleID != before {
			switch _, err := tx.Get(m.Space.RoleID(role.RoleID)); {
			case err == nil:
				return vaultapi.BadRequest("role_id is in use by another role")
			case !errors.Is(err, store.ErrNotFound):
				return err
			}
			err = errors.Join(tx.Delete(m.Space.RoleID(before)), tx.Put(m.Space.RoleID(role.RoleID), []byte(name)))
		}
		return errors.Join(err, put(tx, m.Space.Role(name), role))
	})
}

// DeleteRole forgets a role, with which its secret ids are none any more; they
// are deleted afterwards. The tokens that it gave go on.
func (m *Method) DeleteRole(ctx context.Context, name string) error {
	var id string
	err := m.Store.Update(ctx, func(tx store.Tx) error {
		role, err := m.read(tx, name)
		if role == nil {
			return err
		}
		id = role.ID
		return errors.Join(tx.Delete(m.Space.Role(name)), tx.Delete(m.Space.RoleID(role.RoleID)), tx.Put(m.Space.Forgotten(id), nil))
	})
	if err != nil || id == "" {
		return err
	}
	return m.forget(ctx, id)
}

// forget deletes the secret ids of a role that is gone.
func (m *Method) forget(ctx context.Context, id string) error {
	start, end := m.Space.SecretIDAccessors(id)
	if err := store.Clear(ctx, m.Store, start, end, func(store.Tx) error { return nil }); err != nil {
		return err
	}
	start, end = m.Space.SecretIDs(id)
	return store.Clear(ctx, m.Store, start, end, func(tx store.Tx) error { return tx.Delete(m.Space.Forgotten(id)) })
}

func put(tx store.Tx, key []byte, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return tx.Put(key, raw)
}
