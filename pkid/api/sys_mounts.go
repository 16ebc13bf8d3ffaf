package api

import (
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/mounts"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

func readMounts(h *Handler, _ *request) (*answer, error) {
	data := map[string]any{}
	for _, m := range h.Mounts.List() {
		data[m.Path] = h.describeMount(m)
	}
	return &answer{data: data, topLevel: true}, nil
}

func readMount(h *Handler, r *request) (*answer, error) {
	m, err := h.namedMount(r)
	if err != nil {
		return nil, err
	}
	return &answer{data: h.describeMount(m), topLevel: true}, nil
}

// namedMount is the mount that the path of sys/mounts names exactly.
func (h *Handler) namedMount(r *request) (*mounts.Mount, error) {
	path := mountPath(r.vars["path"])
	m := h.Mounts.Get(path)
	if m == nil {
		return nil, vaultapi.BadRequest("No secret engine mount at %s", path)
	}
	return m, nil
}

func mountPath(path string) string { return strings.Trim(path, "/") + "/" }

// enableMount mounts an engine.
func enableMount(h *Handler, r *request) (*answer, error) {
	p := r.params
	if err := refusePlugins(p); err != nil {
		return nil, err
	}
	c := vaultapi.NewParams(maps.Clone(p.Map("config")))
	if err := refusePlugins(c); err != nil {
		return nil, err
	}
	spec := mounts.Spec{
		Path: mountPath(r.vars["path"]), Type: p.String("type"), Description: p.String("description"),
		Local: p.Bool("local", false), SealWrap: p.Bool("seal_wrap", false),
		Config: mounts.Config{
			DefaultLeaseTTL: leaseTTL(c, "default_lease_ttl"), MaxLeaseTTL: leaseTTL(c, "max_lease_ttl"),
			ForceNoCache:              c.Bool("force_no_cache", false),
			AllowedManagedKeys:        keyNames(c.StringList("allowed_managed_keys")),
			PassthroughRequestHeaders: c.StringList("passthrough_request_headers"),
			AllowedResponseHeaders:    c.StringList("allowed_response_headers"),
			AuditNonHMACRequestKeys:   c.StringList("audit_non_hmac_request_keys"),
			AuditNonHMACResponseKeys:  c.StringList("audit_non_hmac_response_keys"),
			ListingVisibility:         c.String("listing_visibility"),
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
	if err := h.Mounts.Enable(r.ctx, spec); err != nil {
		return nil, err
	}
	if unused := c.UnusedWarning(); unused != "" {
		return &answer{warnings: []string{"config: " + unused}}, nil
	}
	return nil, nil
}

// refusePlugins refuses what only Vault's plugins and its Enterprise edition
// have, where it is asked for.
func refusePlugins(p *vaultapi.Params) error {
	for _, name := range []string{"plugin_version", "plugin_name"} {
		if p.Has(name) && p.String(name) != p.String("type") {
			return vaultapi.BadRequest("%s: pkid has no plugins", name)
		}
	}
	if p.Bool("external_entropy_access", false) {
		return vaultapi.BadRequest("external_entropy_access: not supported")
	}
	return p.Err()
}

// options reads the map of options, whose values are texts.
func options(p *vaultapi.Params) (map[string]string, error) {
	given := p.Map("options")
	if given == nil {
		return nil, nil
	}
	texts := vaultapi.NewParams(given)
	out := make(map[string]string, len(given))
	for name := range given {
		out[name] = texts.String(name)
	}
	return out, texts.Err()
}

// leaseTTL reads a TTL of a mount, of which "system" and nothing are the
// system's, 0.
func leaseTTL(p *vaultapi.Params, name string) time.Duration {
	if p.Has(name) && p.String(name) == "system" {
		return 0
	}
	return p.Duration(name, 0)
}

// disableMount forgets a mount with all its data; the keys in the HSM stay.
func disableMount(h *Handler, r *request) (*answer, error) {
	path := mountPath(r.vars["path"])
	if h.Mounts.Get(path) == nil {
		return nil, nil // as Vault: it is not there, which is what was wanted
	}
	return nil, h.Mounts.Disable(r.ctx, path)
}

// readTune gives the settings in force, the system's where none are set.
func readTune(h *Handler, r *request) (*answer, error) {
	m, err := h.namedMount(r)
	if err != nil {
		return nil, err
	}
	data := configOf(m.Config)
	for _, name := range []string{"default_lease_ttl", "max_lease_ttl"} {
		if data[name] == int64(0) {
			data[name] = int64(mounts.SystemTTL / time.Second)
		}
	}
	data["description"] = m.Description
	if len(m.Options) > 0 {
		data["options"] = m.Options
	}
	return &answer{data: data, topLevel: true}, nil
}

// tuneMount changes the settings that are given. A list that is given empty is
// cleared; a TTL that is given empty, which Vault's client always sends, stays.
func tuneMount(h *Handler, r *request) (*answer, error) {
	m, err := h.namedMount(r)
	if err != nil {
		return nil, err
	}
	p := r.params
	if err := refusePlugins(p); err != nil {
		return nil, err
	}
	change := mounts.Change{
		DefaultLeaseTTL: givenTTL(p, "default_lease_ttl"), MaxLeaseTTL: givenTTL(p, "max_lease_ttl"),
		Description:               givenText(p, "description"),
		AllowedManagedKeys:        givenKeys(p),
		PassthroughRequestHeaders: givenList(p, "passthrough_request_headers"),
		AllowedResponseHeaders:    givenList(p, "allowed_response_headers"),
		AuditNonHMACRequestKeys:   givenList(p, "audit_non_hmac_request_keys"),
		AuditNonHMACResponseKeys:  givenList(p, "audit_non_hmac_response_keys"),
		ListingVisibility:         givenText(p, "listing_visibility"),
	}
	// Vault's client sends false with every change.
	if on := p.Bool("force_no_cache", false); on {
		change.ForceNoCache = &on
	}
	if change.Options, err = options(p); err != nil {
		return nil, err
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	return nil, h.Mounts.Tune(r.ctx, m.Path, change)
}

func givenTTL(p *vaultapi.Params, name string) *time.Duration {
	if !p.Has(name) {
		return nil
	}
	ttl := leaseTTL(p, name)
	return &ttl
}

func givenText(p *vaultapi.Params, name string) *string {
	if !p.Present(name) {
		return nil
	}
	text := p.String(name)
	return &text
}

func givenList(p *vaultapi.Params, name string) *[]string {
	if !p.Present(name) {
		return nil
	}
	texts := p.StringList(name)
	return &texts
}

func givenKeys(p *vaultapi.Params) *[]string {
	names := givenList(p, "allowed_managed_keys")
	if names != nil {
		*names = keyNames(*names)
	}
	return names
}

// keyNames writes names of managed keys as they are kept: in lower case.
func keyNames(names []string) []string {
	for i := range names {
		names[i] = strings.ToLower(names[i])
	}
	return names
}

// remount moves a mount.
func remount(h *Handler, r *request) (*answer, error) {
	from, to := r.params.String("from"), r.params.String("to")
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	if strings.Trim(from, "/") == "" || strings.Trim(to, "/") == "" {
		return nil, vaultapi.BadRequest("both 'from' and 'to' path must be specified as a string")
	}
	id, err := h.Mounts.Move(r.ctx, mountPath(from), mountPath(to))
	if err != nil {
		return nil, err
	}
	return &answer{data: map[string]any{"migration_id": id}, topLevel: true}, nil
}

func readRemount(h *Handler, r *request) (*answer, error) {
	id := r.vars["migration_id"]
	from, to, status, ok := h.Mounts.Migration(id)
	if !ok {
		return nil, vaultapi.Errorf(http.StatusNotFound, "no move of a mount has the id %q", id)
	}
	return &answer{data: map[string]any{
		"migration_id":   id,
		"migration_info": map[string]any{"source_mount": from, "target_mount": to, "status": status},
	}}, nil
}
