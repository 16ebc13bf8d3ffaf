package api

import (
	"net/http"
	"time"

	"github.com/hsmpki/hsmpki/pkid/mounts"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// describeMount is a mount as Vault's clients decode it.
func (h *Handler) describeMount(m *mounts.Mount) map[string]any {
	data := map[string]any{
		"type": m.Type, "description": m.Description, "accessor": m.Accessor, "uuid": m.UUID,
		"local": m.Local, "seal_wrap": m.SealWrap, "external_entropy_access": false,
		"options": nil, "config": configOf(m.Config),
		"plugin_version": "", "running_plugin_version": "v" + h.Version, "running_sha256": "",
	}
	if m.Options != nil {
		data["options"] = m.Options
	}
	if !m.BuiltIn {
		data["deprecation_status"] = "supported"
	}
	return data
}

// configOf is a mount's settings: times in seconds, and of the lists those that
// are set.
func configOf(c mounts.Config) map[string]any {
	data := map[string]any{
		"default_lease_ttl": int64(c.DefaultLeaseTTL / time.Second),
		"max_lease_ttl":     int64(c.MaxLeaseTTL / time.Second),
		"force_no_cache":    c.ForceNoCache,
	}
	for name, list := range map[string][]string{
		"allowed_managed_keys":         c.AllowedManagedKeys,
		"passthrough_request_headers":  c.PassthroughRequestHeaders,
		"allowed_response_headers":     c.AllowedResponseHeaders,
		"audit_non_hmac_request_keys":  c.AuditNonHMACRequestKeys,
		"audit_non_hmac_response_keys": c.AuditNonHMACResponseKeys,
	} {
		if len(list) > 0 {
			data[name] = list
		}
	}
	if c.ListingVisibility != "" {
		data["listing_visibility"] = c.ListingVisibility
	}
	return data
}

// tokenAuth is the one way to log in that is always there.
func (h *Handler) tokenAuth() map[string]any {
	const name = "auth/token/"
	return map[string]any{
		"type": "token", "description": "token based credentials", "accessor": h.accessor("auth_token", name), "uuid": h.derivedID(name),
		"local": false, "seal_wrap": false, "external_entropy_access": false, "options": nil,
		"config":         map[string]any{"default_lease_ttl": 0, "max_lease_ttl": 0, "force_no_cache": false, "token_type": "default-service"},
		"plugin_version": "", "running_plugin_version": "v" + h.Version, "running_sha256": "",
	}
}

// readVisibleMounts is for Vault's UI: a stranger sees the mounts that are
// listed for everybody, and of them little.
func readVisibleMounts(h *Handler, r *request) (*answer, error) {
	secret, auth := map[string]any{}, map[string]any{}
	for _, m := range h.Mounts.List() {
		switch {
		case r.who.acl.Reaches(m.Path):
			secret[m.Path] = h.describeMount(m)
		case m.Config.ListingVisibility == "unauth":
			secret[m.Path] = map[string]any{"type": m.Type, "description": m.Description, "options": m.Options}
		}
	}
	if r.who.mayEverything() {
		auth["token/"] = h.tokenAuth()
	}
	for _, m := range h.Auth.List() {
		switch {
		case r.who.mayEverything():
			auth[m.Path] = h.describeAuth(m)
		case m.Config.ListingVisibility == "unauth":
			auth[m.Path] = map[string]any{"type": m.Type, "description": m.Description, "options": m.Options}
		}
	}
	return &answer{data: map[string]any{"secret": secret, "auth": auth}}, nil
}

// readMountOfPath describes the mount that a path is in. What is not there and
// what is not the caller's business look alike.
func readMountOfPath(h *Handler, r *request) (*answer, error) {
	path := r.vars["path"]
	m, _ := h.Mounts.Find(path + "/")
	if m == nil || !r.who.acl.Reaches(m.Path) {
		return nil, vaultapi.Errorf(http.StatusForbidden,
			"preflight capability check returned 403, please ensure client's policies grant access to path %q", path+"/")
	}
	data := h.describeMount(m)
	data["path"] = m.Path
	return &answer{data: data}, nil
}
