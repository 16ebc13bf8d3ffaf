package api

import "github.com/hsmpki/hsmpki/pkid/crl"

var crlConfigRoutes = []route{
	{pattern: "config/crl", help: "How CRLs and OCSP answers are made", ops: both(read, pkiReadCRLConfig, update, pkiWriteCRLConfig)},
}

// pkiReadCRLConfig serves GET config/crl.
func pkiReadCRLConfig(_ *Handler, r *request) (*answer, error) {
	data, err := r.mount.Authority.CRLConfig().Data()
	return &answer{data: data}, err
}

// pkiWriteCRLConfig serves POST config/crl: what is not given stays.
func pkiWriteCRLConfig(h *Handler, r *request) (*answer, error) {
	_, err := r.mount.Authority.SetCRLConfig(r.ctx, func(c crl.Config) (crl.Config, error) { return c.With(r.params) })
	if err != nil {
		return nil, err
	}
	return pkiReadCRLConfig(h, r)
}
