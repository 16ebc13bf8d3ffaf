package api

import (
	"strings"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var issuerRoutes = []route{
	{pattern: "issuers", help: "List the issuers", stranger: true, ops: both(list, pkiListIssuers, read, pkiListIssuers)},
	{pattern: "issuer/:issuer_ref", help: "Read an issuer", ops: map[operation]handlerFunc{
		read: pkiReadIssuer, update: pkiNotBuilt, patch: pkiNotBuilt, delete: pkiNotBuilt}},
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
	chain := []string{}
	for _, pem := range i.ChainPEM {
		chain = append(chain, pem+"\n")
	}
	return &answer{data: map[string]any{
		"issuer_id": i.ID, "issuer_name": i.Name, "key_id": i.KeyID, "certificate": i.PEM + "\n",
		"manual_chain": nil, "ca_chain": chain, "leaf_not_after_behavior": string(i.LeafNotAfter), "usage": strings.Join(i.Usage, ","),
		"revocation_signature_algorithm": i.CRLAlgorithm, "revoked": false,
		"issuing_certificates": []string{}, "crl_distribution_points": []string{}, "delta_crl_distribution_points": []string{},
		"ocsp_servers": []string{}, "enable_aia_url_templating": false,
	}}, nil
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
	i, err := r.issuer()
	if err != nil {
		return nil, err
	}
	return &answer{raw: i.DER, contentType: typeCert}, nil
}

// pkiIssuerPEM serves issuer/:ref/pem.
func pkiIssuerPEM(_ *Handler, r *request) (*answer, error) {
	i, err := r.issuer()
	if err != nil {
		return nil, err
	}
	return &answer{raw: []byte(i.PEM), contentType: typeCertPEM}, nil
}
