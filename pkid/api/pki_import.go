package api

import (
	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var importRoutes = []route{
	{pattern: "issuers/import/cert", help: "Import CA certificates", ops: one(update, pkiImportCertificates)},
	{pattern: "issuers/import/bundle", help: "Import CA certificates", ops: one(update, pkiImportBundle)},
	{pattern: "config/ca", help: "Import CA certificates", ops: one(update, pkiImportBundle)},
}

// pkiImportCertificates serves issuers/import/cert and intermediate/set-signed,
// which take no keys.
func pkiImportCertificates(_ *Handler, r *request) (*answer, error) { return r.importCAs(false) }

// pkiImportBundle serves issuers/import/bundle and config/ca.
func pkiImportBundle(_ *Handler, r *request) (*answer, error) { return r.importCAs(true) }

func (r *request) importCAs(withKeys bool) (*answer, error) {
	bundle, certificate := r.params.String("pem_bundle"), r.params.String("certificate")
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	if (bundle == "") == (certificate == "") {
		return nil, vaultapi.BadRequest("one of pem_bundle and certificate must be given, and not both: the CA certificates in PEM")
	}
	out, err := r.mount.Authority.Import(r.ctx, &ca.ImportRequest{PEM: bundle + certificate, WithKeys: withKeys, RequestID: r.id})
	if err != nil {
		return nil, err
	}
	return &answer{warnings: out.Warnings, data: map[string]any{
		"imported_issuers": out.Issuers, "imported_keys": out.Keys,
		"existing_issuers": out.ExistingIssuers, "existing_keys": out.ExistingKeys, "mapping": out.Mapping,
	}}, nil
}
