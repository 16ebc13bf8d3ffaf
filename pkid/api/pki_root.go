package api

import (
	"encoding/base64"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/role"
)

var rootRoutes = []route{
	{pattern: "root", help: "Forget all issuers and keys of the mount", sudo: true, ops: one(delete, pkiDeleteRoot)},
	{pattern: "root/generate/:exported", help: "Generate a new root CA", waits: true, ops: one(update, pkiGenerateRoot)},
	{pattern: "issuers/generate/root/:exported", help: "Generate a new root CA", waits: true, ops: one(update, pkiGenerateRoot)},
	{pattern: "root/rotate/:exported", help: "Generate the next root CA", waits: true, ops: one(update, pkiRotateRoot)},
	{pattern: "root/replace", help: "Make another issuer the default", ops: one(update, pkiReplaceRoot)},
}

// pkiGenerateRoot serves root/generate/:type and issuers/generate/root/:type.
func pkiGenerateRoot(_ *Handler, r *request) (*answer, error) { return r.root("") }

// pkiRotateRoot serves root/rotate/:type: the new root is named next, if it is
// not named otherwise, and becomes the default by root/replace.
func pkiRotateRoot(_ *Handler, r *request) (*answer, error) { return r.root("next") }

func (r *request) root(nameIfFree string) (*answer, error) {
	p := r.params
	encode, err := readFormat(p)
	if err != nil {
		return nil, err
	}
	req := &ca.RootRequest{IssuerName: p.String("issuer_name"), NameIfFree: nameIfFree, Draw: r.draw}
	if req.Key, err = r.keyRequest(r.vars["exported"]); err != nil {
		return nil, err
	}
	if req.Wish, err = role.ReadRoot(p); err != nil {
		return nil, err
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	root, err := r.mount.Authority.GenerateRoot(r.ctx, req)
	if err != nil {
		return nil, err
	}
	cert := root.Issuer.Certificate
	return &answer{warnings: root.Warnings, data: map[string]any{
		"expiration":    cert.NotAfter.Unix(),
		"serial_number": issuance.FormatSerial(cert.SerialNumber),
		"certificate":   encode.certificate(root.Issuer.DER, root.Issuer.PEM),
		"issuing_ca":    encode.certificate(root.Issuer.DER, root.Issuer.PEM),
		"issuer_id":     root.Issuer.ID,
		"issuer_name":   root.Issuer.Name,
		"key_id":        root.Key.ID,
		"key_name":      root.Key.Name,
	}}, nil
}

func base64Of(der []byte) string { return base64.StdEncoding.EncodeToString(der) }

// pkiReplaceRoot serves root/replace: config/issuers with a default of "next".
func pkiReplaceRoot(_ *Handler, r *request) (*answer, error) {
	ref := "next"
	if r.params.Has("default") {
		ref = r.params.String("default")
	}
	return r.setDefaultIssuer(ref)
}

// pkiDeleteRoot serves DELETE root.
func pkiDeleteRoot(_ *Handler, r *request) (*answer, error) {
	warnings, err := r.mount.Authority.DeleteAll(r.ctx)
	return &answer{warnings: warnings}, err
}
