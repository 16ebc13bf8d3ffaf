package api

import (
	"net/http"
	"slices"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// pkiRoutes are the paths below a pki mount, listed in the files that serve
// them. Those that a stranger may read are those that Vault lets him.
func pkiRoutes() []route {
	routes := slices.Concat(rootRoutes, issuerRoutes, keyRoutes, configRoutes, roleRoutes, lintRoutes, issueRoutes, crlRoutes, certRoutes, fetchRoutes, ocspRoutes, tidyRoutes)
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
	"config/ca", "config/crl", "config/cluster", "config/acme",
	"revoke", "revoke-with-key", "certs/revoked", "crl/rotate", "crl/rotate-delta", "crl/delta", "crl/delta/pem",
	"cert/delta-crl", "cert/delta-crl/raw", "cert/delta-crl/raw/pem",
	"acme/*path", "eab", "eab/:id",
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
