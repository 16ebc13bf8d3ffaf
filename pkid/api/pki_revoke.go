package api

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"time"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var revokeRoutes = []route{
	{pattern: "revoke", help: "Revoke a certificate", ops: one(update, pkiRevoke)},
	{pattern: "revoke-with-key", help: "Revoke a certificate by showing its private key", ops: one(update, pkiRevokeWithKey)},
}

// pkiRevoke serves POST revoke.
func pkiRevoke(_ *Handler, r *request) (*answer, error) {
	req, err := readRevocation(r.params)
	if err != nil {
		return nil, err
	}
	return r.revoke(req)
}

// pkiRevokeWithKey serves POST revoke-with-key.
func pkiRevokeWithKey(_ *Handler, r *request) (*answer, error) {
	req, err := readRevocation(r.params)
	if err != nil {
		return nil, err
	}
	if req.Proof, err = provingKey(r.params); err != nil {
		return nil, err
	}
	return r.revoke(req)
}

func (r *request) revoke(req *ca.RevokeRequest) (*answer, error) {
	done, err := r.mount.Authority.Revoke(r.ctx, req)
	if err != nil {
		return nil, err
	}
	a := &answer{warnings: done.Warnings}
	if !done.At.IsZero() {
		unix, text := revocationTimes(done.At)
		a.data = map[string]any{"revocation_time": unix, "revocation_time_rfc3339": text, "state": "revoked"}
	}
	return a, nil
}

// revocationTimes are revocation_time and revocation_time_rfc3339.
func revocationTimes(at time.Time) (int64, string) {
	return at.Unix(), at.UTC().Format(time.RFC3339Nano)
}

// readRevocation reads which certificate is to be revoked, and why.
func readRevocation(p *vaultapi.Params) (*ca.RevokeRequest, error) {
	req := &ca.RevokeRequest{Serial: p.String("serial_number")}
	text, reason, since := p.String("certificate"), p.String("reason"), p.String("invalidity_date")
	if err := p.Err(); err != nil {
		return nil, err
	}
	switch {
	case req.Serial == "" && text == "":
		return nil, vaultapi.BadRequest("The serial number or certificate to revoke must be provided.")
	case req.Serial != "" && text != "":
		return nil, vaultapi.BadRequest("Must provide either the certificate or the serial to revoke; not both.")
	}
	var err error
	if text != "" {
		if req.Certificate, err = ca.ParseCertificate(text); err != nil {
			return nil, err
		}
	}
	if reason != "" {
		if req.Reason, err = issuance.ParseReason(reason); err != nil {
			return nil, err
		}
	}
	if since != "" {
		if req.InvalidSince, err = time.Parse(time.RFC3339, since); err != nil || req.InvalidSince.Year() < 1950 {
			return nil, vaultapi.BadRequest("invalidity_date: %q is no time of RFC 3339, such as 2026-01-31T12:00:00Z, since 1950", since)
		}
	}
	return req, nil
}

// leastKeyPEM is shorter than the PEM of any private key, in octets.
const leastKeyPEM = 64

// provingKey reads private_key and gives its public half. What is wrong with it
// is said without a word of its content.
func provingKey(p *vaultapi.Params) (crypto.PublicKey, error) {
	text := p.String("private_key")
	if err := p.Err(); err != nil {
		return nil, err
	}
	if len(text) < leastKeyPEM {
		return nil, vaultapi.BadRequest("private_key: the PEM of a private key is needed, and longer than %d characters", leastKeyPEM)
	}
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "EC PARAMETERS" {
			continue // openssl ecparam -genkey writes them first
		}
		if key := parseKey(block); key != nil {
			return key.Public(), nil
		}
		return nil, vaultapi.BadRequest("private_key: the PEM block of type %q is no private key that can be read (PKCS#1, SEC 1 or PKCS#8, not encrypted)", block.Type)
	}
	return nil, vaultapi.BadRequest("private_key: no PEM block is found in it")
}

func parseKey(block *pem.Block) crypto.Signer {
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil
	}
	signer, _ := key.(crypto.Signer)
	return signer
}
