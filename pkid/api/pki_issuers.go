package api

import (
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var issuerRoutes = []route{
	{pattern: "issuers", help: "List the issuers", stranger: true, ops: one(list, pkiListIssuers)},
	{pattern: "issuer/:issuer_ref", help: "Read an issuer", ops: map[operation]handlerFunc{
		read: pkiReadIssuer, update: pkiWriteIssuer, patch: pkiPatchIssuer, delete: pkiDeleteIssuer}},
	{pattern: "issuer/:issuer_ref/revoke", help: "Revoke an issuer", ops: one(update, pkiRevokeIssuer)},
	{pattern: "issuer/:issuer_ref/json", help: "An issuer's certificate", stranger: true, ops: one(read, pkiIssuerJSON)},
	{pattern: "issuer/:issuer_ref/der", help: "An issuer's certificate", stranger: true, ops: one(read, pkiIssuerDER)},
	{pattern: "issuer/:issuer_ref/pem", help: "An issuer's certificate", stranger: true, ops: one(read, pkiIssuerPEM)},
}

// pkiListIssuers serves LIST issuers.
func pkiListIssuers(_ *Handler, r *request) (*answer, error) {
	all, byDefault := r.mount.Authority.Issuers()
	if len(all) == 0 {
		return nil, vaultapi.NotFound()
	}
	keys, info := []string{}, map[string]any{}
	for _, i := range all {
		keys = append(keys, i.ID)
		info[i.ID] = map[string]any{
			"issuer_name": i.Name, "is_default": i.ID == byDefault, "key_id": i.KeyID,
			"serial_number": issuance.FormatSerial(i.Certificate.SerialNumber),
		}
	}
	return &answer{data: map[string]any{"keys": keys, "key_info": info}}, nil
}

func (r *request) issuer() (*ca.Issuer, error) { return r.mount.Authority.Issuer(r.vars["issuer_ref"]) }

// pkiReadIssuer serves issuer/:ref.
func pkiReadIssuer(_ *Handler, r *request) (*answer, error) {
	i, err := r.issuer()
	if err != nil {
		return nil, err
	}
	return &answer{data: issuerData(i)}, nil
}

// issuerData is the data of issuer/:ref.
func issuerData(i *ca.Issuer) map[string]any {
	chain := []string{}
	for _, pem := range i.ChainPEM {
		chain = append(chain, pem+"\n")
	}
	data := map[string]any{
		"issuer_id": i.ID, "issuer_name": i.Name, "key_id": i.KeyID, "certificate": i.PEM + "\n",
		"manual_chain": i.ManualChain, "ca_chain": chain, "leaf_not_after_behavior": string(i.LeafNotAfter), "usage": strings.Join(i.Usage, ","),
		"revocation_signature_algorithm": i.CRLAlgorithm, "revoked": i.RevokedAt != nil,
		"issuing_certificates": i.URLs.IssuingCertificates, "crl_distribution_points": i.URLs.CRLDistributionPoints,
		"delta_crl_distribution_points": i.URLs.DeltaCRLDistributionPoints, "ocsp_servers": i.URLs.OCSPServers,
		"enable_aia_url_templating": i.URLs.EnableTemplating,
	}
	if i.RevokedAt != nil {
		data["revocation_time"] = i.RevokedAt.Unix()
		data["revocation_time_rfc3339"] = i.RevokedAt.UTC().Format(time.RFC3339Nano)
	}
	return data
}

// pkiIssuerJSON serves issuer/:ref/json.
func pkiIssuerJSON(_ *Handler, r *request) (*answer, error) {
	i, err := r.issuer()
	if err != nil {
		return nil, err
	}
	chain := []string{}
	for _, pem := range i.ChainPEM {
		chain = append(chain, pem+"\n")
	}
	return &answer{data: map[string]any{"certificate": i.PEM + "\n", "ca_chain": chain, "issuer_id": i.ID, "issuer_name": i.Name}}, nil
}

// Content types of what is not JSON (vault-api.md 3.6).
const (
	typeCert    = "application/pkix-cert"
	typeCertPEM = "application/pem-certificate-chain"
	typeCRL     = "application/pkix-crl"
	typeCRLPEM  = "application/x-pem-file"
)

// pkiIssuerDER serves issuer/:ref/der.
func pkiIssuerDER(_ *Handler, r *request) (*answer, error) {
	return ofIssuer(r, r.vars["issuer_ref"], typeCert, func(i *ca.Issuer) []byte { return i.DER })
}

// pkiIssuerPEM serves issuer/:ref/pem.
func pkiIssuerPEM(_ *Handler, r *request) (*answer, error) {
	return ofIssuer(r, r.vars["issuer_ref"], typeCertPEM, func(i *ca.Issuer) []byte { return []byte(i.PEM) })
}
