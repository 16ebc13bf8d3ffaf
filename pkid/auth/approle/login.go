package approle

import (
	"context"
	"errors"
	"maps"
	"net/netip"

	"github.com/hsmpki/hsmpki/pkid/identity"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/token"
)

// Refusal is why a login was refused. It is for the log: to the caller all are
// alike.
type Refusal struct{ Reason string }

func (r *Refusal) Error() string { return r.Reason }

// Login gives the token that whoever shows these from an address gets. A secret
// id whose uses are limited has one less when it returns, durably: of two at
// once who show one with a single use, one gets in.
func (m *Method) Login(ctx context.Context, roleID, secretID string, from netip.Addr) (token.Spec, error) {
	var role *Role
	var s *SecretID
	err := m.Store.View(ctx, func(r store.Reader) (err error) { role, s, err = m.admit(r, roleID, secretID, from); return err })
	if err != nil {
		return token.Spec{}, err
	}
	if s.NumUses > 0 {
		err = m.Store.Update(ctx, func(tx store.Tx) (err error) {
			if role, s, err = m.admit(tx, roleID, secretID, from); err != nil {
				return err
			}
			return m.use(tx, role, s)
		})
		if err != nil {
			return token.Spec{}, err
		}
	}
	spec := role.Token.Spec()
	if len(s.TokenBoundCIDRs) > 0 {
		spec.BoundCIDRs = s.TokenBoundCIDRs
	}
	spec.Meta = map[string]string{}
	maps.Copy(spec.Meta, s.Metadata)
	spec.Meta["role_name"] = role.Name
	// Not what a secret_id says: who may make one is not to choose who he is.
	spec.Alias = &identity.Alias{Name: role.RoleID, Metadata: map[string]string{"role_name": role.Name}}
	return spec, nil
}

// nobody is the role of a role_id that there is none of. The same is looked up
// for it as for one that there is.
var nobody = &Role{ID: "nobody", BindSecretID: true}

// admit decides about a login. Of a role that binds no secret id s is empty.
func (m *Method) admit(r store.Reader, roleID, secretID string, from netip.Addr) (role *Role, s *SecretID, err error) {
	name, err := r.Get(m.Space.RoleID(roleID))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, nil, err
	}
	known := err == nil
	if role, err = m.read(r, string(name)); err != nil {
		return nil, nil, err
	}
	if !known || role == nil {
		known, role = false, nobody
	}
	s, err = m.secretID(r, role, role.hash(secretID))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, nil, err
	}
	found := err == nil
	switch {
	case !known:
		return nil, nil, &Refusal{"there is no such role_id"}
	case !within(role.SecretIDBoundCIDRs, from):
		return nil, nil, &Refusal{"role " + role.Name + ": the address is not in secret_id_bound_cidrs"}
	case !role.BindSecretID && !within(role.Token.BoundCIDRs, from):
		return nil, nil, &Refusal{"role " + role.Name + ": the address is not in token_bound_cidrs"}
	case !role.BindSecretID:
		return role, &SecretID{}, nil
	case !found:
		return nil, nil, &Refusal{"role " + role.Name + ": there is no such secret_id"}
	case !within(s.CIDRs, from):
		return nil, nil, &Refusal{"role " + role.Name + ": the address is not in the cidr_list of the secret_id " + s.Accessor}
	}
	return role, s, nil
}

// use counts one use of a secret id; after the last it is gone.
func (m *Method) use(tx store.Tx, role *Role, s *SecretID) error {
	switch s.NumUses {
	case 0: // written anew since
		return nil
	case 1:
		return m.remove(tx, role.ID, s)
	}
	s.NumUses--
	s.Updated = m.Now().UTC()
	return put(tx, m.Space.SecretID(role.ID, s.hash), s)
}
