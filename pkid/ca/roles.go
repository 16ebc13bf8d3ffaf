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
	return a.putRole(ctx, name, func(*role.Role) (*role.Role, error) { return r, nil })
}

// PatchRole replaces a role by what patch, which may run twice, makes of it.
func (a *Authority) PatchRole(ctx context.Context, name string, patch func(*role.Role) (*role.Role, error)) (warnings []string, err error) {
	return a.putRole(ctx, name, func(old *role.Role) (*role.Role, error) {
		if old == nil {
			return nil, refuse("Unable to fetch role entry to patch")
		}
		return patch(old)
	})
}

// putRole replaces a role, nil if there is none, by what next makes of it.
func (a *Authority) putRole(ctx context.Context, name string, next func(old *role.Role) (*role.Role, error)) (warnings []string, err error) {
	name = strings.ToLower(name)
	if !objectName.MatchString(name) || len(name) > 256 {
		return nil, refuse("role name %q is not made of letters, digits, '-', '_' and '.'", name)
	}
	err = a.change(ctx, func(v *view, tx store.Tx) error {
		r, err := next(v.roles[name])
		if err != nil {
			return err
		}
		raw, err := r.Encode()
		if err != nil {
			return err
		}
		warnings = nil
		if _, err := v.issuer(r.IssuerRef); err != nil && !strings.EqualFold(r.IssuerRef, "default") {
			warnings = []string{"Issuing certificates under this role will fail until its issuer is there: " + err.Error()}
		}
		v.roles[name] = r
		return tx.Put(a.space.Role(name), raw)
	})
	return warnings, err
}

// DeleteRole deletes a role, if there is one.
func (a *Authority) DeleteRole(ctx context.Context, name string) error {
	name = strings.ToLower(name)
	return a.change(ctx, func(v *view, tx store.Tx) error {
		delete(v.roles, name)
		return tx.Delete(a.space.Role(name))
	})
}
