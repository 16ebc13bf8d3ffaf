package api

import (
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var roleRoutes = []route{
	{pattern: "roles", help: "List the roles", ops: one(list, pkiListRoles)},
	{pattern: "roles/:name", help: "A role: what may be issued under it", ops: map[operation]handlerFunc{
		read: pkiReadRole, update: pkiWriteRole, patch: pkiPatchRole, delete: pkiDeleteRole}},
}

// pkiListRoles serves LIST roles.
func pkiListRoles(_ *Handler, r *request) (*answer, error) {
	names := r.mount.Authority.Roles()
	if len(names) == 0 {
		return nil, vaultapi.NotFound()
	}
	return &answer{data: map[string]any{"keys": names}}, nil
}

// pkiReadRole serves GET roles/:name.
func pkiReadRole(_ *Handler, r *request) (*answer, error) {
	found, err := r.mount.Authority.Role(r.vars["name"])
	if err != nil {
		return nil, err
	}
	return roleAnswer(found, nil)
}

// pkiWriteRole serves POST roles/:name, which replaces the whole role.
func pkiWriteRole(_ *Handler, r *request) (*answer, error) {
	made, warnings, err := role.FromParams(r.params)
	if err != nil {
		return nil, err
	}
	more, err := r.mount.Authority.PutRole(r.ctx, r.vars["name"], made)
	if err != nil {
		return nil, err
	}
	return roleAnswer(made, append(warnings, more...))
}

// pkiPatchRole serves PATCH roles/:name.
func pkiPatchRole(_ *Handler, r *request) (*answer, error) {
	var made *role.Role
	var warnings []string
	more, err := r.mount.Authority.PatchRole(r.ctx, r.vars["name"], func(old *role.Role) (_ *role.Role, err error) {
		made, warnings, err = old.Merge(r.params)
		return made, err
	})
	if err != nil {
		return nil, err
	}
	return roleAnswer(made, append(warnings, more...))
}

func roleAnswer(r *role.Role, warnings []string) (*answer, error) {
	data, err := r.Response()
	return &answer{data: data, warnings: warnings}, err
}

// pkiDeleteRole serves DELETE roles/:name.
func pkiDeleteRole(_ *Handler, r *request) (*answer, error) {
	return nil, r.mount.Authority.DeleteRole(r.ctx, r.vars["name"])
}
