package api

import (
	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var configRoutes = []route{
	{pattern: "config/urls", help: "Where relying parties find what belongs to the CA", ops: both(read, pkiReadURLs, update, pkiWriteURLs)},
	{pattern: "config/issuers", help: "The default issuer", ops: both(read, pkiReadDefaultIssuer, update, pkiWriteDefaultIssuer)},
	{pattern: "config/keys", help: "The default key", ops: both(read, pkiReadDefaultKey, update, pkiWriteDefaultKey)},
}

// pkiReadURLs serves GET config/urls.
func pkiReadURLs(_ *Handler, r *request) (*answer, error) {
	return urlsAnswer(r.mount.Authority.URLs()), nil
}

// pkiWriteURLs serves POST config/urls: what is not given stays.
func pkiWriteURLs(_ *Handler, r *request) (*answer, error) {
	p := r.params
	change := ca.URLChange{
		IssuingCertificates:        given(p, "issuing_certificates"),
		CRLDistributionPoints:      given(p, "crl_distribution_points"),
		DeltaCRLDistributionPoints: given(p, "delta_crl_distribution_points"),
		OCSPServers:                given(p, "ocsp_servers"),
	}
	if p.Has("enable_templating") {
		on := p.Bool("enable_templating", false)
		change.EnableTemplating = &on
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	urls, err := r.mount.Authority.SetURLs(r.ctx, change)
	if err != nil {
		return nil, err
	}
	return urlsAnswer(urls), nil
}

// given is a list that was sent, an empty one too; nil if it was not.
func given(p *vaultapi.Params, name string) *[]string {
	if !p.Present(name) {
		return nil
	}
	list := p.StringList(name)
	return &list
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
func pkiWriteDefaultIssuer(h *Handler, r *request) (*answer, error) {
	p := r.params
	ref := p.String("default")
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
	return pkiReadDefaultIssuer(h, r)
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
