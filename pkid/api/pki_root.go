package api

import (
	"encoding/base64"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/role"
)

var rootRoutes = []route{
	{pattern: "root/generate/:exported", help: "Generate a new root CA", ops: one(update, pkiGenerateRoot)},
}

// pkiGenerateRoot serves root/generate/:type.
func pkiGenerateRoot(_ *Handler, r *request) (*answer, error) {
	p := r.params
	encode, err := readFormat(p)
	if err != nil {
		return nil, err
	}
	req := &ca.RootRequest{
		Kind: r.vars["exported"], IssuerName: p.String("issuer_name"), KeyName: p.String("key_name"), KeyRef: p.String("key_ref"),
		ManagedKeyName: strings.ToLower(p.String("managed_key_name")), ManagedKeyID: p.String("managed_key_id"), RequestID: r.id,
	}
	req.KeyTypeGiven = p.Has("key_type") || p.Has("key_bits")
	if err := req.CheckKind(); err != nil {
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
