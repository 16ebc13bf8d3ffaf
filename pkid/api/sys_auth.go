package api

import (
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/hsmpki/hsmpki/pkid/auth"
	"github.com/hsmpki/hsmpki/pkid/mounts"
	"github.com/hsmpki/hsmpki/pkid/token"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var sysAuthRoutes = []route{
	{pattern: "sys/auth", help: "Lists the ways to log in.", ops: one(read, readAuth)},
	{pattern: "sys/auth/*path", help: "Enables, reads and disables a way to log in.", sudo: true,
		ops: map[operation]handlerFunc{read: readAuthMount, update: enableAuth, delete: disableAuth}},
	{pattern: "sys/auth/*path/tune", help: "Reads and changes the settings of a way to log in.", sudo: true, ops: both(read, readAuthTune, update, tuneAuth)},
	// Vault's client tunes here, and reads to see whether it has to.
	{pattern: "sys/mounts/auth/*path/tune", help: "Reads and changes the settings of a way to log in.", ops: both(read, readAuthTune, update, tuneAuth)},
}

// readAuth serves GET sys/auth.
func readAuth(h *Handler, _ *request) (*answer, error) {
	data := map[string]any{"token/": h.tokenAuth()}
	for _, m := range h.Auth.List() {
		data[m.Path] = h.describeAuth(m)
	}
	return &answer{data: data, topLevel: true}, nil
}

// readAuthMount serves GET sys/auth/<path>.
func readAuthMount(h *Handler, r *request) (*answer, error) {
	if mountPath(r.vars["path"]) == "token/" {
		return &answer{data: h.tokenAuth(), topLevel: true}, nil
	}
	m, err := h.namedAuth(r)
	if err != nil {
		return nil, err
	}
	return &answer{data: h.describeAuth(m), topLevel: true}, nil
}

// namedAuth is the mount that the path of sys/auth names exactly.
func (h *Handler) namedAuth(r *request) (*auth.Mount, error) {
	m := h.Auth.Get(r.vars["path"])
	if m == nil {
		return nil, vaultapi.BadRequest("No auth engine at %s", mountPath(r.vars["path"]))
	}
	return m, nil
}

// describeAuth is a way to log in as Vault's clients decode it.
func (h *Handler) describeAuth(m *auth.Mount) map[string]any {
	config := authConfig(m)
	config["default_lease_ttl"] = int64(m.Config.DefaultLeaseTTL / time.Second)
	config["max_lease_ttl"] = int64(m.Config.MaxLeaseTTL / time.Second)
	data := map[string]any{
		"type": m.Type, "description": m.Description, "accessor": m.Accessor, "uuid": m.UUID,
		"local": m.Local, "seal_wrap": m.SealWrap, "external_entropy_access": false, "options": nil, "config": config,
		"plugin_version": "", "running_plugin_version": "v" + h.Version, "running_sha256": "", "deprecation_status": "supported",
	}
	if m.Options != nil {
		data["options"] = m.Options
	}
	return data
}

// authConfig are a way's settings, with the system's TTLs where it has none.
func authConfig(m *auth.Mount) map[string]any {
	settings := mounts.Mount{Config: mounts.Config{DefaultLeaseTTL: m.Config.DefaultLeaseTTL, MaxLeaseTTL: m.Config.MaxLeaseTTL}}
	byDefault, longest := settings.EffectiveTTLs()
	data := map[string]any{
		"default_lease_ttl": int64(byDefault / time.Second), "max_lease_ttl": int64(longest / time.Second),
		"force_no_cache": false, "token_type": "default-service",
	}
	if m.Config.ListingVisibility != "" {
		data["listing_visibility"] = m.Config.ListingVisibility
	}
	return data
}

// enableAuth serves POST sys/auth/<path>.
func enableAuth(h *Handler, r *request) (*answer, error) {
	p := r.params
	c := vaultapi.NewParams(maps.Clone(p.Map("config")))
	for _, params := range []*vaultapi.Params{p, c} {
		if err := refusePlugins(params); err != nil {
			return nil, err
		}
	}
	_ = c.Bool("force_no_cache", false) // which Vault's client always sends; nothing of it is cached
	spec := auth.Spec{
		Path: mountPath(r.vars["path"]), Type: p.String("type"), Description: p.String("description"), TokenType: c.String("token_type"),
		Local: p.Bool("local", false), SealWrap: p.Bool("seal_wrap", false),
		Config: auth.Config{
			DefaultLeaseTTL: leaseTTL(c, "default_lease_ttl"), MaxLeaseTTL: leaseTTL(c, "max_lease_ttl"), ListingVisibility: c.String("listing_visibility"),
		},
	}
	var err error
	if spec.Options, err = options(p); err != nil {
		return nil, err
	}
	for _, params := range []*vaultapi.Params{p, c} {
		if err := params.Err(); err != nil {
			return nil, err
		}
	}
	if err := h.Auth.Enable(r.ctx, spec); err != nil {
		return nil, err
	}
	if unused := c.UnusedWarning(); unused != "" {
		return &answer{warnings: []string{"config: " + unused}}, nil
	}
	return nil, nil
}

// disableAuth serves DELETE sys/auth/<path>. Where nothing is, nothing is to do.
func disableAuth(h *Handler, r *request) (*answer, error) {
	return nil, h.Auth.Disable(r.ctx, r.vars["path"])
}

// readAuthTune gives the settings in force.
func readAuthTune(h *Handler, r *request) (*answer, error) {
	if mountPath(r.vars["path"]) == "token/" {
		system := int64(mounts.SystemTTL / time.Second)
		return &answer{data: map[string]any{"default_lease_ttl": system, "max_lease_ttl": system, "force_no_cache": false,
			"token_type": "default-service", "description": "token based credentials"}, topLevel: true}, nil
	}
	m, err := h.namedAuth(r)
	if err != nil {
		return nil, err
	}
	data := authConfig(m)
	data["description"] = m.Description
	if len(m.Options) > 0 {
		data["options"] = m.Options
	}
	return &answer{data: data, topLevel: true}, nil
}

// tuneAuth changes the settings that are given, as tuneMount.
func tuneAuth(h *Handler, r *request) (*answer, error) {
	m, err := h.namedAuth(r)
	if err != nil {
		return nil, err
	}
	p := r.params
	if err := refusePlugins(p); err != nil {
		return nil, err
	}
	_ = p.Bool("force_no_cache", false)
	change := auth.Change{
		DefaultLeaseTTL: givenTTL(p, "default_lease_ttl"), MaxLeaseTTL: givenTTL(p, "max_lease_ttl"),
		Description: givenText(p, "description"), ListingVisibility: givenText(p, "listing_visibility"), TokenType: givenText(p, "token_type"),
	}
	if change.Options, err = options(p); err != nil {
		return nil, err
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	return nil, h.Auth.Tune(r.ctx, m.Path, change)
}

// logIn answers a login that a method has let pass.
func (h *Handler) logIn(r *request, spec token.Spec) (*answer, error) {
	t, err := h.Auth.Login(r.ctx, r.login, spec)
	if err != nil {
		return nil, err
	}
	h.Log.Info("logged in", "request_id", r.id, "path", r.path, "accessor", t.Accessor, "display_name", t.DisplayName, "peer", r.who.remote)
	if err := h.Policies.ACL(t.Policies, t.Alias).Unfit(); err != nil {
		t.Warnings = append(t.Warnings, fmt.Sprintf("This token may do nothing: %v", err))
	}
	return authAnswer(t), nil
}

// The refused logins that are told of at level info: a stranger can make as many
// as he likes, and must not fill the log. The others are at level debug.
const (
	refusalsEach  = time.Second
	refusalsFirst = 100
)

// refuseLogin says little to whoever may be guessing, the same whatever was
// wrong, and the reason to the log.
func (h *Handler) refuseLogin(r *request, said string, reason error) (*answer, error) {
	level := slog.LevelDebug
	if h.refusals.Allow() {
		level = slog.LevelInfo
	}
	h.Log.Log(r.ctx, level, "a login was refused", "request_id", r.id, "path", r.path, "peer", r.who.remote, "reason", shortened(reason.Error()))
	return nil, vaultapi.BadRequest("%s", said)
}
