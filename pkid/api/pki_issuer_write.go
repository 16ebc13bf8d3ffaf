package api

import (
	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// pkiWriteIssuer serves POST issuer/:ref, which replaces all that can be set:
// what is not given has its default.
func pkiWriteIssuer(_ *Handler, r *request) (*answer, error) {
	p := r.params
	for _, name := range []string{"issuer_name", "leaf_not_after_behavior", "revocation_signature_algorithm"} {
		if !p.Present(name) {
			p.Set(name, "")
		}
	}
	for _, name := range []string{"manual_chain", "issuing_certificates", "crl_distribution_points", "delta_crl_distribution_points", "ocsp_servers"} {
		if !p.Present(name) {
			p.Set(name, []string{})
		}
	}
	if !p.Present("enable_aia_url_templating") {
		p.Set("enable_aia_url_templating", false)
	}
	c := readIssuerChange(p)
	if !p.Has("usage") {
		c.Usage, c.DefaultUsage = nil, true
	}
	return r.changeIssuer(c)
}

// pkiPatchIssuer serves PATCH issuer/:ref: what is not given stays.
func pkiPatchIssuer(_ *Handler, r *request) (*answer, error) {
	return r.changeIssuer(readIssuerChange(r.params))
}

// readIssuerChange reads what was sent. Conversion errors are in p.Err.
func readIssuerChange(p *vaultapi.Params) *ca.IssuerChange {
	return &ca.IssuerChange{
		Name:         givenText(p, "issuer_name"),
		LeafNotAfter: givenText(p, "leaf_not_after_behavior"),
		ManualChain:  givenList(p, "manual_chain"),
		Usage:        givenList(p, "usage"),
		CRLAlgorithm: givenText(p, "revocation_signature_algorithm"),
		URLs:         readURLChange(p, "enable_aia_url_templating"),
	}
}

func (r *request) changeIssuer(c *ca.IssuerChange) (*answer, error) {
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	i, warnings, err := r.mount.Authority.ChangeIssuer(r.ctx, r.vars["issuer_ref"], c)
	if err != nil {
		return nil, err
	}
	return &answer{data: issuerData(i), warnings: warnings}, nil
}

// pkiDeleteIssuer serves DELETE issuer/:ref.
func pkiDeleteIssuer(_ *Handler, r *request) (*answer, error) {
	warnings, err := r.mount.Authority.DeleteIssuer(r.ctx, r.vars["issuer_ref"])
	return &answer{warnings: warnings}, err
}

// pkiRevokeIssuer serves issuer/:ref/revoke.
func pkiRevokeIssuer(_ *Handler, r *request) (*answer, error) {
	i, warnings, err := r.mount.Authority.RevokeIssuer(r.ctx, r.vars["issuer_ref"])
	if err != nil {
		return nil, err
	}
	return &answer{data: issuerData(i), warnings: warnings}, nil
}
