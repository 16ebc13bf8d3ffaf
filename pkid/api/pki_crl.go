package api

import (
	"net/http"
	"time"

	"github.com/hsmpki/hsmpki/pkid/ca"
)

var crlRoutes = []route{
	{pattern: "issuer/:issuer_ref/crl", help: "An issuer's CRL", stranger: true, ops: one(read, pkiIssuerCRL)},
	{pattern: "issuer/:issuer_ref/crl/der", help: "An issuer's CRL", stranger: true, ops: one(read, pkiIssuerCRLDER)},
	{pattern: "issuer/:issuer_ref/crl/pem", help: "An issuer's CRL", stranger: true, ops: one(read, pkiIssuerCRLPEM)},
	{pattern: "crl", help: "The default issuer's CRL (DER)", stranger: true, ops: one(read, pkiCRL)},
	{pattern: "crl/pem", help: "The default issuer's CRL (PEM)", stranger: true, ops: one(read, pkiCRLPEM)},
	{pattern: "cert/crl", help: "The default issuer's CRL", stranger: true, ops: one(read, pkiCertCRL)},
	{pattern: "cert/crl/raw", help: "The default issuer's CRL (DER)", stranger: true, ops: one(read, pkiCRL)},
	{pattern: "cert/crl/raw/pem", help: "The default issuer's CRL (PEM)", stranger: true, ops: one(read, pkiCRLPEM)},
}

// crl gives an issuer's CRL, nil where there is none.
func (r *request) crl(ref string) (der []byte, made time.Time, err error) {
	return r.mount.Authority.CRL(r.ctx, ref, r.id)
}

func (r *request) rawCRL(ref, contentType string, encode func([]byte) []byte) (*answer, error) {
	if ref == "default" && !r.mount.Authority.HasIssuer() {
		return &answer{contentType: contentType}, nil
	}
	der, made, err := r.crl(ref)
	if err != nil {
		return nil, err
	}
	if der == nil {
		return &answer{contentType: contentType}, nil
	}
	return &answer{raw: encode(der), contentType: contentType, header: http.Header{"Last-Modified": {made.UTC().Format(http.TimeFormat)}}}, nil
}

func asIs(der []byte) []byte   { return der }
func crlPEM(der []byte) []byte { return []byte(ca.PEM("X509 CRL", der)) }

// pkiCRL serves crl and cert/crl/raw.
func pkiCRL(_ *Handler, r *request) (*answer, error) { return r.rawCRL("default", typeCRL, asIs) }

// pkiCRLPEM serves crl/pem and cert/crl/raw/pem.
func pkiCRLPEM(_ *Handler, r *request) (*answer, error) {
	return r.rawCRL("default", typeCRLPEM, crlPEM)
}

// pkiIssuerCRLDER serves issuer/:ref/crl/der.
func pkiIssuerCRLDER(_ *Handler, r *request) (*answer, error) {
	return r.rawCRL(r.vars["issuer_ref"], typeCRL, asIs)
}

// pkiIssuerCRLPEM serves issuer/:ref/crl/pem.
func pkiIssuerCRLPEM(_ *Handler, r *request) (*answer, error) {
	return r.rawCRL(r.vars["issuer_ref"], typeCRLPEM, crlPEM)
}

// pkiIssuerCRL serves issuer/:ref/crl.
func pkiIssuerCRL(_ *Handler, r *request) (*answer, error) {
	der, _, err := r.crl(r.vars["issuer_ref"])
	if err != nil || der == nil {
		return nil, err
	}
	return &answer{data: map[string]any{"crl": string(crlPEM(der))}}, nil
}

// pkiCertCRL serves cert/crl.
func pkiCertCRL(_ *Handler, r *request) (*answer, error) {
	der, _, err := r.crl("default")
	if err != nil || der == nil {
		return nil, err
	}
	return certificateAnswer(string(crlPEM(der))), nil
}
