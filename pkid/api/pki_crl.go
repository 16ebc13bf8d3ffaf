package api

import (
	"errors"
	"io"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/crl"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var crlRoutes = []route{
	{pattern: "crl", help: "The default issuer's CRL (DER)", stranger: true, ops: one(read, rawCRL(crl.Complete, false))},
	{pattern: "crl/pem", help: "The default issuer's CRL (PEM)", stranger: true, ops: one(read, rawCRL(crl.Complete, true))},
	{pattern: "crl/delta", help: "The default issuer's delta CRL (DER)", stranger: true, ops: one(read, rawCRL(crl.Delta, false))},
	{pattern: "crl/delta/pem", help: "The default issuer's delta CRL (PEM)", stranger: true, ops: one(read, rawCRL(crl.Delta, true))},
	{pattern: "crl/rotate", help: "Make the CRLs of all issuers anew", ops: one(read, rotateCRLs(crl.Complete))},
	{pattern: "crl/rotate-delta", help: "Make the delta CRLs of all issuers anew", ops: one(read, rotateCRLs(crl.Delta))},

	{pattern: "cert/crl", help: "The default issuer's CRL", stranger: true, ops: one(read, certCRL(crl.Complete))},
	{pattern: "cert/crl/raw", help: "The default issuer's CRL (DER)", stranger: true, ops: one(read, rawCRL(crl.Complete, false))},
	{pattern: "cert/crl/raw/pem", help: "The default issuer's CRL (PEM)", stranger: true, ops: one(read, rawCRL(crl.Complete, true))},
	{pattern: "cert/delta-crl", help: "The default issuer's delta CRL", stranger: true, ops: one(read, certCRL(crl.Delta))},
	{pattern: "cert/delta-crl/raw", help: "The default issuer's delta CRL (DER)", stranger: true, ops: one(read, rawCRL(crl.Delta, false))},
	{pattern: "cert/delta-crl/raw/pem", help: "The default issuer's delta CRL (PEM)", stranger: true, ops: one(read, rawCRL(crl.Delta, true))},

	{pattern: "issuer/:issuer_ref/crl", help: "An issuer's CRL", stranger: true, ops: one(read, issuerCRL(crl.Complete))},
	{pattern: "issuer/:issuer_ref/crl/der", help: "An issuer's CRL (DER)", stranger: true, ops: one(read, rawCRL(crl.Complete, false))},
	{pattern: "issuer/:issuer_ref/crl/pem", help: "An issuer's CRL (PEM)", stranger: true, ops: one(read, rawCRL(crl.Complete, true))},
	{pattern: "issuer/:issuer_ref/crl/delta", help: "An issuer's delta CRL", stranger: true, ops: one(read, issuerCRL(crl.Delta))},
	{pattern: "issuer/:issuer_ref/crl/delta/der", help: "An issuer's delta CRL (DER)", stranger: true, ops: one(read, rawCRL(crl.Delta, false))},
	{pattern: "issuer/:issuer_ref/crl/delta/pem", help: "An issuer's delta CRL (PEM)", stranger: true, ops: one(read, rawCRL(crl.Delta, true))},
}

// crl finds the list of the path's issuer, or of the default. It is nil where
// there is nothing to have a list, or no such list.
func (r *request) crl(kind crl.Kind) (*crl.Handle, error) {
	ref := r.vars["issuer_ref"]
	if ref == "" {
		if !r.mount.Authority.HasIssuer() {
			return nil, nil
		}
		ref = "default"
	}
	list, err := r.mount.Authority.CRL(r.ctx, ref, kind)
	if errors.Is(err, crl.ErrNone) {
		return nil, nil
	}
	return list, err
}

// rawCRL serves the octets of a list: crl, crl/pem, issuer/:ref/crl/der and
// their kin.
func rawCRL(kind crl.Kind, pem bool) handlerFunc {
	contentType := typeCRL
	if pem {
		contentType = typeCRLPEM
	}
	return func(_ *Handler, r *request) (*answer, error) {
		list, err := r.crl(kind)
		if err != nil || list == nil {
			return &answer{contentType: contentType}, err
		}
		return &answer{contentType: contentType, stream: func(send func(*stream) error) error {
			return list.Read(r.ctx, func(c *crl.Content) error {
				octets := c.DER()
				if pem {
					octets = c.PEM()
				}
				return send(&stream{octets: octets, modified: c.Modified, tag: c.Tag})
			})
		}}, nil
	}
}

// maxInJSON is how large a list may be to be put into JSON, in octets of its
// DER. That is held whole, several times over, for every stranger who asks.
const maxInJSON = 1 << 20

// pemCRL gives a list as a text, "" where there is none.
func (r *request) pemCRL(kind crl.Kind) (text string, err error) {
	list, err := r.crl(kind)
	if err != nil || list == nil {
		return "", err
	}
	err = list.Read(r.ctx, func(c *crl.Content) error {
		if c.Size > maxInJSON {
			return vaultapi.BadRequest("the CRL has %d octets, more than the %d that are put into JSON: read it as DER or PEM (crl, crl/pem, issuer/:ref/crl/der)", c.Size, maxInJSON)
		}
		pem, err := io.ReadAll(c.PEM())
		text = string(pem)
		return err
	})
	return text, err
}

// issuerCRL serves issuer/:ref/crl and issuer/:ref/crl/delta.
func issuerCRL(kind crl.Kind) handlerFunc {
	return func(_ *Handler, r *request) (*answer, error) {
		text, err := r.pemCRL(kind)
		if err != nil || text == "" {
			return nil, err
		}
		return &answer{data: map[string]any{"crl": text}}, nil
	}
}

// certCRL serves cert/crl and cert/delta-crl.
func certCRL(kind crl.Kind) handlerFunc {
	return func(_ *Handler, r *request) (*answer, error) {
		text, err := r.pemCRL(kind)
		if err != nil || text == "" {
			return nil, err
		}
		return certificateAnswer(text), nil
	}
}

// rotateCRLs serves crl/rotate and crl/rotate-delta.
func rotateCRLs(kind crl.Kind) handlerFunc {
	return func(_ *Handler, r *request) (*answer, error) {
		warnings, err := r.mount.Authority.RotateCRLs(r.ctx, kind)
		if err != nil {
			return nil, err
		}
		return &answer{data: map[string]any{"success": true}, warnings: warnings}, nil
	}
}

// crlPEM writes a list that is held whole.
func crlPEM(der []byte) string { return ca.PEM("X509 CRL", der) }
