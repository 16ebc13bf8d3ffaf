package api

import (
	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var configRoutes = []route{
	{pattern: "config/urls", help: "Where relying parties find what belongs to the CA", ops: both(read, pkiReadURLs, update, pkiWriteURLs)},
	{pattern: "config/issuers", help: "The default issuer", ops: both(read, pkiReadDefaultIssuer, update, pkiWriteDefaultIssuer)},
	{pattern: "config/cluster", help: "Where the mount is found from outside", ops: both(read, pkiReadCluster, update, pkiWriteCluster)},
	{pattern: "config/keys", help: "The default key", ops: both(read, pkiReadDefaultKey, update, pkiWriteDefaultKey)},
}

// pkiReadURLs serves GET config/urls.
func pkiReadURLs(_ *Handler, r *request) (*answer, error) {
	return urlsAnswer(r.mount.Authority.URLs()), nil
}

// pkiWriteURLs serves POST config/urls: what is not given stays.
func pkiWriteURLs(_ *Handler, r *request) (*answer, error) {
	change := readURLChange(r.params, "enable_templating")
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	urls, warnings, err := r.mount.Authority.SetURLs(r.ctx, change)
	if err != nil {
		return nil, err
	}
	a := urlsAnswer(urls)
	a.warnings = warnings
	return a, nil
}

// readURLChange reads the URLs that were sent; templating is the parameter that
// switches templates. Conversion errors are in p.Err.
func readURLChange(p *vaultapi.Params, templating string) ca.URLChange {
	change := ca.URLChange{
		IssuingCertificates:        givenList(p, "issuing_certificates"),
		CRLDistributionPoints:      givenList(p, "crl_distribution_points"),
		DeltaCRLDistributionPoints: givenList(p, "delta_crl_distribution_points"),
		OCSPServers:                givenList(p, "ocsp_servers"),
	}
	if p.Present(templating) {
		on := p.Bool(templating, false)
		change.EnableTemplating = &on
	}
	return change
}

func urlsAnswer(u ca.URLs) *answer {
	return &answer{data: map[string]any{
		"issuing_certificates": u.IssuingCertificates, "crl_distribution_points": u.CRLDistributionPoints,
		"delta_crl_distribution_points": u.DeltaCRLDistributionPoints, "ocsp_servers": u.OCSPServers,
		"enable_templating": u.EnableTemplating,
	}}
}

// pkiReadDefaultIssuer serves GET config/issuers.
func pkiReadDefaultIssuer(_ *Handler, r *request) (*answer, error) {
	_, byDefault := r.mount.Authority.Issuers()
	return &answer{data: map[string]any{"default": byDefault, "default_follows_latest_issuer": r.mount.Authority.FollowsLatest()}}, nil
}

// pkiWriteDefaultIssuer serves POST config/issuers.
func pkiWriteDefaultIssuer(_ *Handler, r *request) (*answer, error) {
	return r.setDefaultIssuer(r.params.String("default"))
}

func (r *request) setDefaultIssuer(ref string) (*answer, error) {
	p := r.params
	var follow *bool
	if p.Has("default_follows_latest_issuer") {
		on := p.Bool("default_follows_latest_issuer", false)
		follow = &on
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	if ref == "" {
		return nil, vaultapi.BadRequest(`missing "default": the id or name of an issuer`)
	}
	if err := r.mount.Authority.SetDefaultIssuer(r.ctx, ref, follow); err != nil {
		return nil, err
	}
	a, err := pkiReadDefaultIssuer(nil, r)
	if i, missing := r.mount.Authority.Issuer("default"); missing == nil && i.KeyID == "" {
		a.warnings = append(a.warnings, "This selected default issuer has no key associated with it. Some operations like issuing certificates and signing CRLs will be unavailable with the requested default issuer until a key is imported or the default issuer is changed.")
	}
	return a, err
}

// pkiReadCluster serves GET config/cluster.
func pkiReadCluster(_ *Handler, r *request) (*answer, error) {
	return clusterAnswer(r.mount.Authority.Cluster()), nil
}

// pkiWriteCluster serves POST config/cluster: what is not given stays.
func pkiWriteCluster(_ *Handler, r *request) (*answer, error) {
	path, aiaPath := givenText(r.params, "path"), givenText(r.params, "aia_path")
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	now, err := r.mount.Authority.SetCluster(r.ctx, path, aiaPath)
	if err != nil {
		return nil, err
	}
	return clusterAnswer(now), nil
}

func clusterAnswer(c ca.Cluster) *answer {
	return &answer{data: map[string]any{"path": c.Path, "aia_path": c.AIAPath}}
}

// pkiReadDefaultKey serves GET config/keys.
func pkiReadDefaultKey(_ *Handler, r *request) (*answer, error) {
	_, byDefault := r.mount.Authority.Keys()
	return &answer{data: map[string]any{"default": byDefault}}, nil
}

// pkiWriteDefaultKey serves POST config/keys.
func pkiWriteDefaultKey(h *Handler, r *request) (*answer, error) {
	ref := r.params.String("default")
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	if ref == "" {
		return nil, vaultapi.BadRequest(`missing "default": the id or name of a key`)
	}
	if err := r.mount.Authority.SetDefaultKey(r.ctx, ref); err != nil {
		return nil, err
	}
	return pkiReadDefaultKey(h, r)
}
