package api

import (
	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/role"
)

var intermediateRoutes = []route{
	{pattern: "intermediate/generate/:exported", help: "Generate a CSR for an intermediate CA", waits: true, ops: one(update, pkiGenerateIntermediate)},
	{pattern: "issuers/generate/intermediate/:exported", help: "Generate a CSR for an intermediate CA", waits: true, ops: one(update, pkiGenerateIntermediate)},
	{pattern: "intermediate/cross-sign", help: "Generate a CSR to have an existing key signed by another CA", waits: true, ops: one(update, pkiCrossSign)},
	{pattern: "intermediate/set-signed", help: "Import the signed certificate of an intermediate CA", ops: one(update, pkiImportCertificates)},
}

// pkiGenerateIntermediate serves intermediate/generate/:type and
// issuers/generate/intermediate/:type.
func pkiGenerateIntermediate(_ *Handler, r *request) (*answer, error) {
	return r.generateCSR(r.vars["exported"])
}

// pkiCrossSign serves intermediate/cross-sign.
func pkiCrossSign(_ *Handler, r *request) (*answer, error) { return r.generateCSR("existing") }

func (r *request) generateCSR(kind string) (*answer, error) {
	encode, err := readFormat(r.params)
	if err != nil {
		return nil, err
	}
	req := new(ca.CSRRequest)
	if req.Key, err = r.keyRequest(kind); err != nil {
		return nil, err
	}
	if req.Wish, err = role.ReadCSR(r.params); err != nil {
		return nil, err
	}
	csr, err := r.mount.Authority.GenerateCSR(r.ctx, req)
	if err != nil {
		return nil, err
	}
	return &answer{warnings: csr.Warnings, data: map[string]any{
		"csr":    encode.certificate(csr.DER, ca.PEM("CERTIFICATE REQUEST", csr.DER)),
		"key_id": csr.Key.ID,
	}}, nil
}
