package ca

import (
	"context"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// Roles lists the names of the mount's roles in order.
func (a *Authority) Roles() []string {
	names := []string{}
	for name := range a.view.Load().roles {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Role finds a role, or gives ErrNotFound. Names are of lower case.
func (a *Authority) Role(name string) (*role.Role, error) {
	if r := a.view.Load().roles[strings.ToLower(name)]; r != nil {
		return r, nil
	}
	return nil, ErrNotFound
}

// PutRole creates or replaces a role. The warning is about an issuer that is
// not there yet.
func (a *Authority) PutRole(ctx context.Context, name string, r *role.Role) (warnings []string, err error) {
	name = strings.ToLower(name)
	if !objectName.MatchString(name) || len(name) > 256 {
		return nil, refuse("role name %q is not made of letters, digits, '-', '_' and '.'", name)
	}
	raw, err := r.Encode()
	if err != nil {
		return nil, err
	}
	if _, err := a.view.Load().issuer(r.IssuerRef); err != nil && !strings.EqualFold(r.IssuerRef, "default") {
		warnings = append(warnings, "Issuing certificates under this role will fail until its issuer is there: "+err.Error())
	}
	return warnings, a.change(ctx, func(v *view, tx store.Tx) error {
		v.roles[name] = r
		return tx.Put(a.space.Role(name), raw)
	})
}

// DeleteRole deletes a role, if there is one.
func (a *Authority) DeleteRole(ctx context.Context, name string) error {
	name = strings.ToLower(name)
	return a.change(ctx, func(v *view, tx store.Tx) error {
		delete(v.roles, name)
		return tx.Delete(a.space.Role(name))
	})
}
