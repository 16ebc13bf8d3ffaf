package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/auth/jwt"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// jwtRoutes are the paths below a mount of type jwt.
var jwtRoutes = append([]route{
	{pattern: "config", help: "Says whose tokens count.",
		ops: both(read, readJWTConfig((*jwt.Config).Show), update, writeJWTConfig(jwt.ConfigFromParams))},
	{pattern: "role/:name", help: "Writes, reads and deletes a role: which tokens count, and what they get.",
		ops: jwtRoleOps((*jwt.Role).Show, (*jwt.Role).Apply)},
}, jwtLogin...)

// kubernetesRoutes are those below one of type kubernetes, where the same has
// other names.
var kubernetesRoutes = append([]route{
	{pattern: "config", help: "Says whose service accounts count.",
		ops: both(read, readJWTConfig((*jwt.Config).ShowKubernetes), update, writeJWTConfig(jwt.KubernetesConfigFromParams))},
	{pattern: "role/:name", help: "Writes, reads and deletes a role: which service accounts count, and what they get.",
		ops: jwtRoleOps((*jwt.Role).ShowKubernetes, (*jwt.Role).ApplyKubernetes)},
}, jwtLogin...)

var jwtLogin = []route{
	{pattern: "role", help: "Lists the roles.", ops: one(list, listJWTRoles)},
	{pattern: "login", help: "Exchanges a JWT for a token.", stranger: true, ops: one(update, loginByJWT)},
}

func jwtRoleOps(show func(*jwt.Role) map[string]any, apply func(*jwt.Role, *vaultapi.Params) error) map[operation]handlerFunc {
	return map[operation]handlerFunc{read: readJWTRole(show), update: writeJWTRole(apply), delete: deleteJWTRole}
}

func readJWTConfig(show func(*jwt.Config) map[string]any) handlerFunc {
	return func(_ *Handler, r *request) (*answer, error) {
		cfg, err := r.login.JWT.Config(r.ctx)
		if err != nil {
			return nil, err
		}
		if cfg == nil {
			return nil, vaultapi.NotFound()
		}
		return &answer{data: show(cfg)}, nil
	}
}

func writeJWTConfig(parse func(*vaultapi.Params) (*jwt.Config, error)) handlerFunc {
	return func(_ *Handler, r *request) (*answer, error) {
		cfg, err := parse(r.params)
		if err != nil {
			return nil, err
		}
		warning, err := r.login.JWT.Configure(r.ctx, cfg)
		if err != nil || warning == "" {
			return nil, err
		}
		return &answer{warnings: []string{warning}}, nil
	}
}

func listJWTRoles(_ *Handler, r *request) (*answer, error) {
	return keys(r.login.JWT.Roles(r.ctx))
}

func readJWTRole(show func(*jwt.Role) map[string]any) handlerFunc {
	return func(_ *Handler, r *request) (*answer, error) {
		role, err := r.login.JWT.Role(r.ctx, jwtRoleName(r))
		if err != nil {
			return nil, err
		}
		if role == nil {
			return nil, vaultapi.NotFound()
		}
		return &answer{data: show(role)}, nil
	}
}

func writeJWTRole(apply func(*jwt.Role, *vaultapi.Params) error) handlerFunc {
	return func(_ *Handler, r *request) (*answer, error) {
		return nil, r.login.JWT.ChangeRole(r.ctx, jwtRoleName(r), func(role *jwt.Role) error { return apply(role, r.params) })
	}
}

func deleteJWTRole(_ *Handler, r *request) (*answer, error) {
	return nil, r.login.JWT.DeleteRole(r.ctx, jwtRoleName(r))
}

// jwtRoleName is of small letters, however it is written.
func jwtRoleName(r *request) string { return strings.ToLower(r.vars["name"]) }

func loginByJWT(h *Handler, r *request) (*answer, error) {
	role, token := r.params.String("role"), strings.TrimSpace(r.params.String("jwt"))
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	if token == "" {
		return nil, vaultapi.BadRequest("missing token")
	}
	spec, err := r.login.JWT.Login(r.ctx, role, token, addressOf(r.who.remote))
	if refusal, ok := errors.AsType[*jwt.Refusal](err); ok {
		return h.refuseLogin(r, "error validating token: it, or the role, is not accepted here", refusal)
	}
	if errors.Is(err, jwt.ErrNoKeys) {
		away := vaultapi.Errorf(http.StatusServiceUnavailable, "%v", jwt.ErrNoKeys)
		away.RetryAfter = 30 * time.Second
		return nil, away
	}
	if err != nil {
		return nil, err
	}
	return h.logIn(r, spec)
}
