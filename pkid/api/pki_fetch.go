package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/ca"
)

var fetchRoutes = []route{
	{pattern: "ca", help: "The default issuer's certificate (DER)", stranger: true, ops: one(read, pkiCA)},
	{pattern: "ca/pem", help: "The default issuer's certificate (PEM)", stranger: true, ops: one(read, pkiCAPEM)},
	{pattern: "ca_chain", help: "The default issuer's chain (PEM)", stranger: true, ops: one(read, pkiCAChain)},
	{pattern: "cert/ca", help: "The default issuer's certificate", stranger: true, ops: one(read, pkiCertCA)},
	{pattern: "cert/ca/raw", help: "The default issuer's certificate (DER)", stranger: true, ops: one(read, pkiCA)},
	{pattern: "cert/ca/raw/pem", help: "The default issuer's certificate (PEM)", stranger: true, ops: one(read, pkiCAPEM)},
	{pattern: "cert/ca_chain", help: "The default issuer's chain", stranger: true, ops: one(read, pkiCertCAChain)},
	{pattern: "cert/:serial", help: "A certificate", stranger: true, ops: one(read, pkiCert)},
	{pattern: "cert/:serial/raw", help: "A certificate (DER)", stranger: true, ops: one(read, pkiCertRaw)},
	{pattern: "cert/:serial/raw/pem", help: "A certificate (PEM)", stranger: true, ops: one(read, pkiCertPEM)},
}

// ofDefault answers with what the default issuer gives, or with nothing (204)
// as long as there is none: clients tell a mount without a CA by that.
func ofDefault(r *request, contentType string, octets func(*ca.Issuer) []byte) (*answer, error) {
	if !r.mount.Authority.HasIssuer() {
		return &answer{contentType: contentType}, nil
	}
	return ofIssuer(r, "default", contentType, octets)
}

// ofIssuer answers with what an issuer gives, unless the client has it already.
func ofIssuer(r *request, ref, contentType string, octets func(*ca.Issuer) []byte) (*answer, error) {
	changed := r.mount.Authority.Changed() // first: what follows is at least as new
	i, err := r.mount.Authority.Issuer(ref)
	if err != nil {
		return nil, err
	}
	content := octets(i)
	tag := sha256.Sum256(content)
	return &answer{contentType: contentType, stream: func(send func(*stream) error) error {
		return send(&stream{octets: bytes.NewReader(content), modified: changed, tag: hex.EncodeToString(tag[:16])})
	}}, nil
}

// pkiCA serves ca and cert/ca/raw.
func pkiCA(_ *Handler, r *request) (*answer, error) {
	return ofDefault(r, typeCert, func(i *ca.Issuer) []byte { return i.DER })
}

// pkiCAPEM serves ca/pem and cert/ca/raw/pem.
func pkiCAPEM(_ *Handler, r *request) (*answer, error) {
	return ofDefault(r, typeCertPEM, func(i *ca.Issuer) []byte { return []byte(i.PEM) })
}

// pkiCAChain serves ca_chain: PEM, under the content type that Vault gives it.
func pkiCAChain(_ *Handler, r *request) (*answer, error) {
	return ofDefault(r, typeCert, func(i *ca.Issuer) []byte { return []byte(strings.Join(i.ChainPEM, "\n")) })
}

// certificateAnswer is the data of cert/:serial and its kin.
func certificateAnswer(pem string) *answer {
	return &answer{data: map[string]any{"certificate": pem, "revocation_time": 0, "revocation_time_rfc3339": ""}}
}

// pkiCertCA serves cert/ca.
func pkiCertCA(_ *Handler, r *request) (*answer, error) {
	i, err := r.mount.Authority.Issuer("default")
	if err != nil {
		return nil, err
	}
	return certificateAnswer(i.PEM), nil
}

// pkiCertCAChain serves cert/ca_chain.
func pkiCertCAChain(_ *Handler, r *request) (*answer, error) {
	i, err := r.mount.Authority.Issuer("default")
	if err != nil {
		return nil, err
	}
	chain := strings.Join(i.ChainPEM, "\n")
	a := certificateAnswer(chain)
	a.data["ca_chain"] = chain
	return a, nil
}

// pkiCert serves cert/:serial.
func pkiCert(_ *Handler, r *request) (*answer, error) {
	cert, err := r.mount.Authority.Certificate(r.ctx, r.vars["serial"])
	if err != nil {
		return nil, err
	}
	a := certificateAnswer(ca.PEM("CERTIFICATE", cert.DER))
	if !cert.RevokedAt.IsZero() {
		a.data["revocation_time"], a.data["revocation_time_rfc3339"] = revocationTimes(cert.RevokedAt)
		a.data["issuer_id"] = cert.IssuerID
	}
	return a, nil
}

// pkiCertRaw serves cert/:serial/raw.
func pkiCertRaw(_ *Handler, r *request) (*answer, error) {
	return r.rawCert(typeCert, func(der []byte) []byte { return der })
}

// pkiCertPEM serves cert/:serial/raw/pem.
func pkiCertPEM(_ *Handler, r *request) (*answer, error) {
	return r.rawCert(typeCertPEM, func(der []byte) []byte { return []byte(ca.PEM("CERTIFICATE", der)) })
}

// rawCert answers 204 where there is no certificate, as Vault does.
func (r *request) rawCert(contentType string, encode func([]byte) []byte) (*answer, error) {
	cert, err := r.mount.Authority.Certificate(r.ctx, r.vars["serial"])
	if errors.Is(err, ca.ErrNotFound) {
		return &answer{contentType: contentType}, nil
	}
	if err != nil {
		return nil, err
	}
	return &answer{raw: encode(cert.DER), contentType: contentType}, nil
}
