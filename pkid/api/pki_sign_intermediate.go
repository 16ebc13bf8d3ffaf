package api

import (
	"strings"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/role"
)

var signIntermediateRoutes = []route{
	{pattern: "root/sign-intermediate", help: "Sign the CSR of an intermediate CA", waits: true, ops: one(update, pkiSignIntermediate)},
	{pattern: "issuer/:issuer_ref/sign-intermediate", help: "Sign the CSR of an intermediate CA", waits: true, ops: one(update, pkiSignIntermediate)},
	{pattern: "root/sign-self-issued", help: "Sign a self-issued CA certificate", sudo: true, ops: one(update, pkiSignSelfIssued)},
	{pattern: "issuer/:issuer_ref/sign-self-issued", help: "Sign a self-issued CA certificate", ops: one(update, pkiSignSelfIssued)},
}

// signingIssuer is the issuer that the path names, or the default.
func (r *request) signingIssuer() string {
	if ref := r.vars["issuer_ref"]; ref != "" {
		return ref
	}
	return "default"
}

// pkiSignIntermediate serves root/sign-intermediate and
// issuer/:ref/sign-intermediate.
func pkiSignIntermediate(_ *Handler, r *request) (*answer, error) {
	text := r.params.String("csr")
	encode, err := r.begin()
	if err != nil {
		return nil, err
	}
	csr, err := role.ParseCSR(text)
	if err != nil {
		return nil, err
	}
	wish, err := role.ReadIntermediate(r.params)
	if err != nil {
		return nil, err
	}
	out, err := r.mount.Authority.SignIntermediate(r.ctx, &ca.IntermediateRequest{
		Issuer: r.signingIssuer(), CSR: csr, Wish: wish, RequestID: r.id, Requester: r.who.name, Draw: r.draw,
	})
	if err != nil {
		return nil, err
	}
	// Here the chain begins with the new certificate.
	own := encode.certificate(out.DER, ca.PEM("CERTIFICATE", out.DER))
	chain := append([]string{own}, encode.chain(out.Issuer)...)
	data := map[string]any{
		"certificate":   own,
		"issuing_ca":    encode.certificate(out.Issuer.DER, out.Issuer.PEM),
		"ca_chain":      chain,
		"serial_number": out.Serial,
		"expiration":    out.Certificate.NotAfter.Unix(),
	}
	if encode.kind == "pem_bundle" {
		data["certificate"] = strings.Join(chain, "\n")
	}
	return &answer{data: data, warnings: out.Warnings}, nil
}

// pkiSignSelfIssued serves root/sign-self-issued and
// issuer/:ref/sign-self-issued.
func pkiSignSelfIssued(_ *Handler, r *request) (*answer, error) {
	text, sameKind := r.params.String("certificate"), r.params.Bool("require_matching_certificate_algorithms", false)
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	cert, err := ca.ParseCertificate(text)
	if err != nil {
		return nil, err
	}
	out, err := r.mount.Authority.SignSelfIssued(r.ctx, &ca.SelfIssuedRequest{
		Issuer: r.signingIssuer(), Certificate: cert, SameKind: sameKind, RequestID: r.id,
	})
	if err != nil {
		return nil, err
	}
	return &answer{data: map[string]any{
		"certificate": ca.PEM("CERTIFICATE", out.DER), "issuing_ca": out.Issuer.PEM, "serial_number": out.Serial,
	}}, nil
}
