package api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/auth/approle"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var approleRoutes = append([]route{
	{pattern: "login", help: "Logs in by role_id and secret_id.", stranger: true, ops: one(update, approleLogin)},
	{pattern: "role", help: "Lists the roles.", ops: one(list, approleRoles)},
	{pattern: "role/:role", help: "A role: who logs in, and what he gets.",
		ops: map[operation]handlerFunc{read: approleReadRole, update: approleWriteRole, delete: approleDeleteRole}},
	{pattern: "role/:role/role-id", help: "The role_id of a role.", ops: both(read, approleReadRoleID, update, approleWriteRoleID)},
	{pattern: "role/:role/secret-id", help: "Makes a secret_id; lists the accessors of those that there are.",
		ops: both(update, approleMakeSecretID, list, approleAccessors)},
	{pattern: "role/:role/custom-secret-id", help: "Takes a secret_id that the caller chose.", ops: one(update, approleTakeSecretID)},
	{pattern: "role/:role/secret-id/lookup", help: "Tells of a secret_id.", ops: one(update, approleLookup)},
	{pattern: "role/:role/secret-id/destroy", help: "Ends a secret_id.", ops: both(update, approleDestroy, delete, approleDestroy)},
	{pattern: "role/:role/secret-id-accessor/lookup", help: "Tells of the secret_id of an accessor.", ops: one(update, approleLookupAccessor)},
	{pattern: "role/:role/secret-id-accessor/destroy", help: "Ends the secret_id of an accessor.",
		ops: both(update, approleDestroyAccessor, delete, approleDestroyAccessor)},
	{pattern: "tidy/secret-id", help: "Deletes the secret_ids that have expired.", ops: one(update, approleTidy)},
}, approleFieldRoutes()...)

// approleLogin says the same of whatever is wrong.
func approleLogin(h *Handler, r *request) (*answer, error) {
	roleID, secretID := r.params.String("role_id"), r.params.String("secret_id")
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	if roleID == "" {
		return nil, vaultapi.BadRequest("missing role_id")
	}
	spec, err := r.login.AppRole.Login(r.ctx, roleID, secretID, addressOf(r.who.remote))
	if refused, is := errors.AsType[*approle.Refusal](err); is {
		return h.refuseLogin(r, "invalid role or secret ID", refused)
	}
	if err != nil {
		return nil, err
	}
	return h.logIn(r, spec)
}

// roleName is the role that the path names: names are of small letters.
func roleName(r *request) string { return strings.ToLower(r.vars["role"]) }

func approleRoles(_ *Handler, r *request) (*answer, error) { return keys(r.login.AppRole.Roles(r.ctx)) }

func approleReadRole(_ *Handler, r *request) (*answer, error) {
	role, err := approleRole(r)
	if err != nil {
		return nil, err
	}
	return &answer{data: role.Show()}, nil
}

func approleRole(r *request) (*approle.Role, error) {
	role, err := r.login.AppRole.Role(r.ctx, roleName(r))
	if err == nil && role == nil {
		err = vaultapi.NotFound()
	}
	return role, err
}

func approleWriteRole(_ *Handler, r *request) (*answer, error) {
	return nil, r.login.AppRole.WriteRole(r.ctx, roleName(r), r.params, false)
}

func approleDeleteRole(_ *Handler, r *request) (*answer, error) {
	return nil, r.login.AppRole.DeleteRole(r.ctx, roleName(r))
}

func approleReadRoleID(_ *Handler, r *request) (*answer, error) {
	role, err := approleRole(r)
	if err != nil {
		return nil, err
	}
	return &answer{data: map[string]any{"role_id": role.RoleID}}, nil
}

func approleWriteRoleID(_ *Handler, r *request) (*answer, error) {
	id := r.params.String("role_id")
	if id == "" {
		return nil, vaultapi.BadRequest("missing role_id")
	}
	return nil, r.login.AppRole.WriteRole(r.ctx, roleName(r), vaultapi.NewParams(map[string]any{"role_id": id}), true)
}

func approleMakeSecretID(_ *Handler, r *request) (*answer, error) { return makeSecretID(r, "") }

func approleTakeSecretID(_ *Handler, r *request) (*answer, error) {
	chosen := r.params.String("secret_id")
	if chosen == "" {
		return nil, vaultapi.BadRequest("missing secret_id")
	}
	return makeSecretID(r, chosen)
}

func makeSecretID(r *request, chosen string) (*answer, error) {
	s, err := r.login.AppRole.MakeSecretID(r.ctx, roleName(r), chosen, r.params)
	if err != nil {
		return nil, err
	}
	shown := s.Show()
	return &answer{data: map[string]any{
		"secret_id": s.ID, "secret_id_accessor": s.Accessor, "secret_id_ttl": shown["secret_id_ttl"], "secret_id_num_uses": s.NumUses,
	}}, nil
}

func approleAccessors(_ *Handler, r *request) (*answer, error) {
	return keys(r.login.AppRole.Accessors(r.ctx, roleName(r)))
}

// bySecretID finds the secret id that is named; nil if there is none.
func bySecretID(r *request) (*approle.SecretID, error) {
	id := r.params.String("secret_id")
	if id == "" {
		return nil, vaultapi.BadRequest("missing secret_id")
	}
	return r.login.AppRole.FindSecretID(r.ctx, roleName(r), id)
}

func byAccessor(r *request) (*approle.SecretID, error) {
	accessor := r.params.String("secret_id_accessor")
	if accessor == "" {
		return nil, vaultapi.BadRequest("missing secret_id_accessor")
	}
	s, err := r.login.AppRole.FindAccessor(r.ctx, roleName(r), accessor)
	if err == nil && s == nil {
		err = vaultapi.Errorf(http.StatusNotFound, "failed to find accessor entry for secret_id_accessor: %q", accessor)
	}
	return s, err
}

func approleLookup(_ *Handler, r *request) (*answer, error) {
	s, err := bySecretID(r)
	if err != nil || s == nil {
		return nil, err
	}
	return &answer{data: s.Show()}, nil
}

func approleLookupAccessor(_ *Handler, r *request) (*answer, error) {
	s, err := byAccessor(r)
	if err != nil {
		return nil, err
	}
	return &answer{data: s.Show()}, nil
}

func approleDestroy(_ *Handler, r *request) (*answer, error) { return destroy(r, bySecretID) }

func approleDestroyAccessor(_ *Handler, r *request) (*answer, error) { return destroy(r, byAccessor) }

func destroy(r *request, find func(*request) (*approle.SecretID, error)) (*answer, error) {
	s, err := find(r)
	if err != nil || s == nil {
		return nil, err
	}
	return nil, r.login.AppRole.Destroy(r.ctx, roleName(r), s)
}

func approleTidy(_ *Handler, r *request) (*answer, error) { return nil, r.login.AppRole.Tidy(r.ctx) }

// approleFields are the paths below a role that are one field each, and what
// the field is when it was not given.
var approleFields = map[string]struct {
	field string
	unset any
}{
	"policies": {"token_policies", []any{}}, "bind-secret-id": {"bind_secret_id", true},
	"bound-cidr-list": {"secret_id_bound_cidrs", []any{}}, "secret-id-bound-cidrs": {"secret_id_bound_cidrs", []any{}},
	"token-bound-cidrs": {"token_bound_cidrs", []any{}}, "secret-id-num-uses": {"secret_id_num_uses", 0}, "secret-id-ttl": {"secret_id_ttl", 0},
	"token-num-uses": {"token_num_uses", 0}, "token-ttl": {"token_ttl", 0}, "token-max-ttl": {"token_max_ttl", 0}, "period": {"token_period", 0},
}

func approleFieldRoutes() (routes []route) {
	for path, f := range approleFields {
		routes = append(routes, route{pattern: "role/:role/" + path, help: f.field + " of a role.", ops: map[operation]handlerFunc{
			read: func(_ *Handler, r *request) (*answer, error) {
				role, err := approleRole(r)
				if err != nil {
					return nil, err
				}
				return &answer{data: map[string]any{f.field: role.Show()[f.field]}}, nil
			},
			update: func(_ *Handler, r *request) (*answer, error) {
				older := strings.ReplaceAll(path, "-", "_") // "policies", "bound_cidr_list", "period"
				for _, name := range []string{f.field, older} {
					if r.params.Present(name) {
						return nil, writeField(r, f.field, r.params.Values()[name])
					}
				}
				return nil, vaultapi.BadRequest("missing %s", f.field)
			},
			delete: func(_ *Handler, r *request) (*answer, error) { return nil, writeField(r, f.field, f.unset) },
		}})
	}
	return routes
}

func writeField(r *request, field string, value any) error {
	return r.login.AppRole.WriteRole(r.ctx, roleName(r), vaultapi.NewParams(map[string]any{field: value}), true)
}
