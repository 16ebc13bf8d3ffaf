package api

import (
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/token"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

func listTokenRoles(h *Handler, r *request) (*answer, error) { return keys(h.Tokens.Roles(r.ctx)) }

func readTokenRole(h *Handler, r *request) (*answer, error) {
	role, err := h.Tokens.Role(r.ctx, strings.ToLower(r.vars["role"]))
	if err != nil {
		return nil, err
	}
	if role == nil {
		return nil, vaultapi.NotFound()
	}
	maximum, period := int64(role.ExplicitMaxTTL/time.Second), int64(role.Period/time.Second)
	data := map[string]any{
		"name": role.Name, "orphan": role.Orphan, "renewable": !role.NotRenewable, "path_suffix": role.PathSuffix,
		"allowed_policies": listed(role.AllowedPolicies), "allowed_policies_glob": listed(role.AllowedPoliciesGlob),
		"disallowed_policies": listed(role.DisallowedPolicies), "disallowed_policies_glob": listed(role.DisallowedPoliciesGlob),
		"allowed_entity_aliases": nil, "explicit_max_ttl": maximum, "period": period,
		"token_explicit_max_ttl": maximum, "token_period": period, "token_no_default_policy": role.NoDefaultPolicy, "token_num_uses": role.NumUses,
		"token_type": "default-service",
	}
	if len(role.BoundCIDRs) > 0 {
		data["bound_cidrs"], data["token_bound_cidrs"] = role.BoundCIDRs, role.BoundCIDRs
	}
	return &answer{data: data}, nil
}

// listed is a list that is never null.
func listed(list []string) []string { return append([]string{}, list...) }

// writeTokenRole changes what is given and leaves the rest as it is.
func writeTokenRole(h *Handler, r *request) (*answer, error) {
	name := strings.ToLower(r.vars["role"])
	return nil, h.Tokens.ChangeRole(r.ctx, name, func(role *token.Role) error { return readRole(r.params, role) })
}

func deleteTokenRole(h *Handler, r *request) (*answer, error) {
	return nil, h.Tokens.DeleteRole(r.ctx, strings.ToLower(r.vars["role"]))
}

func readRole(p *vaultapi.Params, role *token.Role) error {
	for name, list := range map[string]*[]string{
		"allowed_policies": &role.AllowedPolicies, "allowed_policies_glob": &role.AllowedPoliciesGlob,
		"disallowed_policies": &role.DisallowedPolicies, "disallowed_policies_glob": &role.DisallowedPoliciesGlob,
	} {
		if p.Present(name) {
			*list = token.SortNames(p.StringList(name))
		}
	}
	if p.Present("orphan") {
		role.Orphan = p.Bool("orphan", false)
	}
	if p.Present("renewable") {
		role.NotRenewable = !p.Bool("renewable", true)
	}
	if p.Present("token_no_default_policy") {
		role.NoDefaultPolicy = p.Bool("token_no_default_policy", false)
	}
	if p.Present("path_suffix") {
		role.PathSuffix = p.String("path_suffix")
	}
	if p.Present("token_num_uses") {
		role.NumUses = p.Int("token_num_uses", 0)
	}
	// Each of these has an older name; the newer one wins.
	if name, is := newer(p, "explicit_max_ttl"); is {
		role.ExplicitMaxTTL = p.Duration(name, 0)
	}
	if name, is := newer(p, "period"); is {
		role.Period = p.Duration(name, 0)
	}
	if name, is := newer(p, "bound_cidrs"); is {
		role.BoundCIDRs = p.Networks(name)
	}
	switch kind := p.String("token_type"); kind {
	case "", "service", "default", "default-service":
	default:
		return vaultapi.BadRequest("token_type=%s: there are service tokens only", kind)
	}
	if len(p.StringList("allowed_entity_aliases")) > 0 {
		return vaultapi.BadRequest("allowed_entity_aliases: there are no entities")
	}
	return p.Err()
}

// newer gives the name under which a parameter was sent, if it was.
func newer(p *vaultapi.Params, older string) (name string, sent bool) {
	old := p.Present(older)
	if p.Present("token_" + older) {
		return "token_" + older, true
	}
	return older, old
}
