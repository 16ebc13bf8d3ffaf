package api

import (
	"net/http"
	"slices"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// pkiRoutes are the paths below a pki mount, listed in the files that serve
// them. Those that a stranger may read are those that Vault lets him.
func pkiRoutes() []route {
	routes := slices.Concat(rootRoutes, intermediateRoutes, signIntermediateRoutes, importRoutes, issuerRoutes, keyRoutes, configRoutes,
		crlConfigRoutes, roleRoutes, lintRoutes, issueRoutes, revokeRoutes, crlRoutes, signListRoutes, certRoutes, fetchRoutes, ocspRoutes, tidyRoutes)
	for _, pattern := range laterPaths {
		routes = append(routes, route{pattern: pattern, help: "Not built yet", ops: map[operation]handlerFunc{
			read: pkiNotBuilt, list: pkiNotBuilt, update: pkiNotBuilt, patch: pkiNotBuilt, delete: pkiNotBuilt}})
	}
	return routes
}

// laterPaths are Vault's paths that are known and not built: they say so,
// rather than that there is no such path.
var laterPaths = []string{
	"config/acme",
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
