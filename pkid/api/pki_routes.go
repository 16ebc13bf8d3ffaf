package api

import (
	"net/http"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// pkiRoutes are the paths below a pki mount. Those that a stranger may read are
// those that Vault lets him.
func pkiRoutes() []route {
	routes := []route{
		{pattern: "root/generate/:exported", help: "Generate a new root CA", ops: one(update, pkiGenerateRoot)},

		{pattern: "issuers", help: "List the issuers", stranger: true, ops: both(list, pkiListIssuers, read, pkiListIssuers)},
		{pattern: "issuer/:issuer_ref", help: "Read an issuer", ops: map[operation]handlerFunc{
			read: pkiReadIssuer, update: pkiNotBuilt, patch: pkiNotBuilt, delete: pkiNotBuilt}},
		{pattern: "issuer/:issuer_ref/json", help: "An issuer's certificate", stranger: true, ops: one(read, pkiIssuerJSON)},
		{pattern: "issuer/:issuer_ref/der", help: "An issuer's certificate", stranger: true, ops: one(read, pkiIssuerDER)},
		{pattern: "issuer/:issuer_ref/pem", help: "An issuer's certificate", stranger: true, ops: one(read, pkiIssuerPEM)},
		{pattern: "issuer/:issuer_ref/crl", help: "An issuer's CRL", stranger: true, ops: one(read, pkiIssuerCRL)},
		{pattern: "issuer/:issuer_ref/crl/der", help: "An issuer's CRL", stranger: true, ops: one(read, pkiIssuerCRLDER)},
		{pattern: "issuer/:issuer_ref/crl/pem", help: "An issuer's CRL", stranger: true, ops: one(read, pkiIssuerCRLPEM)},
		{pattern: "issuer/:issuer_ref/issue/:role", help: "Issue a certificate with a new key", ops: one(update, pkiIssue)},
		{pattern: "issuer/:issuer_ref/sign/:role", help: "Sign a CSR", ops: one(update, pkiSign)},
		{pattern: "issuer/:issuer_ref/sign-verbatim", help: "Sign a CSR as it is", ops: one(update, pkiSignVerbatim)},
		{pattern: "issuer/:issuer_ref/sign-verbatim/:role", help: "Sign a CSR as it is", ops: one(update, pkiSignVerbatim)},

		{pattern: "keys", help: "List the keys", ops: both(list, pkiListKeys, read, pkiListKeys)},
		{pattern: "key/:key_ref", help: "Read a key", ops: map[operation]handlerFunc{read: pkiReadKey, update: pkiNotBuilt, delete: pkiNotBuilt}},

		{pattern: "config/urls", help: "Where relying parties find what belongs to the CA", ops: both(read, pkiReadURLs, update, pkiWriteURLs)},
		{pattern: "config/issuers", help: "The default issuer", ops: both(read, pkiReadDefaultIssuer, update, pkiWriteDefaultIssuer)},
		{pattern: "config/keys", help: "The default key", ops: both(read, pkiReadDefaultKey, update, pkiWriteDefaultKey)},

		{pattern: "roles", help: "List the roles", ops: both(list, pkiListRoles, read, pkiListRoles)},
		{pattern: "roles/:name", help: "A role: what may be issued under it", ops: map[operation]handlerFunc{
			read: pkiReadRole, update: pkiWriteRole, patch: pkiPatchRole, delete: pkiDeleteRole}},

		{pattern: "issue/:role", help: "Issue a certificate with a new key", ops: one(update, pkiIssue)},
		{pattern: "sign/:role", help: "Sign a CSR", ops: one(update, pkiSign)},
		{pattern: "sign-verbatim", help: "Sign a CSR as it is", ops: one(update, pkiSignVerbatim)},
		{pattern: "sign-verbatim/:role", help: "Sign a CSR as it is", ops: one(update, pkiSignVerbatim)},

		{pattern: "ca", help: "The default issuer's certificate (DER)", stranger: true, ops: one(read, pkiCA)},
		{pattern: "ca/pem", help: "The default issuer's certificate (PEM)", stranger: true, ops: one(read, pkiCAPEM)},
		{pattern: "ca_chain", help: "The default issuer's chain (PEM)", stranger: true, ops: one(read, pkiCAChain)},
		{pattern: "crl", help: "The default issuer's CRL (DER)", stranger: true, ops: one(read, pkiCRL)},
		{pattern: "crl/pem", help: "The default issuer's CRL (PEM)", stranger: true, ops: one(read, pkiCRLPEM)},

		{pattern: "certs", help: "List the certificates' serial numbers", ops: both(list, pkiListCerts, read, pkiListCerts)},
		{pattern: "cert/ca", help: "The default issuer's certificate", stranger: true, ops: one(read, pkiCertCA)},
		{pattern: "cert/ca/raw", help: "The default issuer's certificate (DER)", stranger: true, ops: one(read, pkiCA)},
		{pattern: "cert/ca/raw/pem", help: "The default issuer's certificate (PEM)", stranger: true, ops: one(read, pkiCAPEM)},
		{pattern: "cert/ca_chain", help: "The default issuer's chain", stranger: true, ops: one(read, pkiCertCAChain)},
		{pattern: "cert/crl", help: "The default issuer's CRL", stranger: true, ops: one(read, pkiCertCRL)},
		{pattern: "cert/crl/raw", help: "The default issuer's CRL (DER)", stranger: true, ops: one(read, pkiCRL)},
		{pattern: "cert/crl/raw/pem", help: "The default issuer's CRL (PEM)", stranger: true, ops: one(read, pkiCRLPEM)},
		{pattern: "cert/:serial", help: "A certificate", stranger: true, ops: one(read, pkiCert)},
		{pattern: "cert/:serial/raw", help: "A certificate (DER)", stranger: true, ops: one(read, pkiCertRaw)},
		{pattern: "cert/:serial/raw/pem", help: "A certificate (PEM)", stranger: true, ops: one(read, pkiCertPEM)},
	}
	for _, pattern := range laterPaths {
		routes = append(routes, route{pattern: pattern, help: "Not built yet", ops: map[operation]handlerFunc{
			read: pkiNotBuilt, list: pkiNotBuilt, update: pkiNotBuilt, patch: pkiNotBuilt, delete: pkiNotBuilt}})
	}
	return routes
}

// laterPaths are Vault's paths that are known and not built: they say so,
// rather than that there is no such path.
var laterPaths = []string{
	"root", "root/rotate/:type", "root/replace", "root/sign-intermediate", "root/sign-self-issued",
	"intermediate/generate/:type", "intermediate/set-signed", "intermediate/cross-sign",
	"issuers/generate/root/:type", "issuers/generate/intermediate/:type", "issuers/import/cert", "issuers/import/bundle",
	"issuer/:issuer_ref/sign-intermediate", "issuer/:issuer_ref/sign-self-issued", "issuer/:issuer_ref/revoke",
	"issuer/:issuer_ref/crl/delta", "issuer/:issuer_ref/crl/delta/der", "issuer/:issuer_ref/crl/delta/pem",
	"issuer/:issuer_ref/resign-crls", "issuer/:issuer_ref/sign-revocation-list",
	"keys/generate/:type", "keys/import",
	"config/ca", "config/crl", "config/cluster", "config/acme", "config/auto-tidy",
	"revoke", "revoke-with-key", "certs/revoked", "certs/detailed", "crl/rotate", "crl/rotate-delta", "crl/delta", "crl/delta/pem",
	"cert/delta-crl", "cert/delta-crl/raw", "cert/delta-crl/raw/pem",
	"tidy", "tidy-status", "tidy-cancel", "ocsp", "ocsp/*request", "acme/*path", "eab", "eab/:id",
}

func pkiNotBuilt(_ *Handler, r *request) (*answer, error) {
	return nil, vaultapi.Errorf(http.StatusBadRequest, "%s of %s is not built yet", r.op, r.path)
}

func one(o operation, f handlerFunc) map[operation]handlerFunc {
	return map[operation]handlerFunc{o: f}
}

func both(o1 operation, f1 handlerFunc, o2 operation, f2 handlerFunc) map[operation]handlerFunc {
	return map[operation]handlerFunc{o1: f1, o2: f2}
}
