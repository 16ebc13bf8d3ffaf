package jwt

import (
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// A mount of type kubernetes takes the tokens of a cluster's service accounts.
// Its configuration and its roles are those of a JWT under other names: only
// reading and showing them is here.

// keysOfCluster is where an API server has the keys of its service accounts.
const keysOfCluster = "/openid/v1/jwks"

// The claims of a service account's token, and what Vault calls them in a
// token's metadata.
const (
	accountNamespace = "/kubernetes.io/namespace"
	accountName      = "/kubernetes.io/serviceaccount/name"
	accountUID       = "/kubernetes.io/serviceaccount/uid"
)

// KubernetesConfigFromParams reads auth/kubernetes/config.
func KubernetesConfigFromParams(p *vaultapi.Params) (*Config, error) {
	c := &Config{
		ValidationPubkeys: p.StringList("pem_keys"), BoundIssuer: p.String("issuer"),
		KubernetesHost: p.String("kubernetes_host"), JWKSCAPEM: p.String("kubernetes_ca_cert"),
	}
	switch {
	case p.Has("token_reviewer_jwt"):
		return nil, vaultapi.BadRequest("token_reviewer_jwt: the cluster is not asked about tokens (TokenReview); they are verified by its keys")
	case !p.Bool("disable_iss_validation", true) && c.BoundIssuer == "":
		return nil, vaultapi.BadRequest("disable_iss_validation=false: name the issuer")
	case p.Bool("disable_iss_validation", false) && c.BoundIssuer != "":
		return nil, vaultapi.BadRequest("issuer: it is checked where it is given; leave it out")
	case len(c.ValidationPubkeys) == 0 && c.KubernetesHost == "":
		return nil, vaultapi.BadRequest("no host provided: the keys are those of kubernetes_host, or pem_keys")
	case len(c.ValidationPubkeys) == 0:
		c.JWKSURL = strings.TrimRight(c.KubernetesHost, "/") + keysOfCluster
	}
	_ = p.Bool("disable_local_ca_jwt", true) // there is no token of our own that would be used
	if err := p.Err(); err != nil {
		return nil, err
	}
	return c, c.check()
}

// ShowKubernetes is the answer to reading such a configuration.
func (c *Config) ShowKubernetes() map[string]any {
	return map[string]any{
		"kubernetes_host": c.KubernetesHost, "kubernetes_ca_cert": c.JWKSCAPEM,
		"pem_keys": append([]string{}, c.ValidationPubkeys...), "issuer": c.BoundIssuer,
		"disable_iss_validation": c.BoundIssuer == "", "disable_local_ca_jwt": true, "token_reviewer_jwt_set": false,
	}
}

// ApplyKubernetes is [Role.Apply] for a role of service accounts.
func (r *Role) ApplyKubernetes(p *vaultapi.Params) error {
	if p.Has("bound_service_account_namespace_selector") {
		return vaultapi.BadRequest("bound_service_account_namespace_selector: the cluster is not asked about namespaces; name them")
	}
	claims := map[string][]string{accountNamespace: r.BoundClaims[accountNamespace], accountName: r.BoundClaims[accountName]}
	for name, claim := range map[string]string{"bound_service_account_names": accountName, "bound_service_account_namespaces": accountNamespace} {
		if p.Present(name) {
			claims[claim] = p.StringList(name)
		}
	}
	r.BoundClaims, r.BoundClaimsType, r.UserClaim = claims, matchGlob, "sub"
	r.ClaimMappings = map[string]string{
		accountName: "service_account_name", accountNamespace: "service_account_namespace", accountUID: "service_account_uid",
	}
	if p.Present("audience") {
		r.BoundAudiences = nil
		if audience := p.String("audience"); audience != "" {
			r.BoundAudiences = []string{audience}
		}
	}
	switch {
	case len(claims[accountName]) == 0:
		return vaultapi.BadRequest("%q can not be empty", "bound_service_account_names")
	case len(claims[accountNamespace]) == 0:
		return vaultapi.BadRequest("%q can not be empty", "bound_service_account_namespaces")
	case len(r.BoundAudiences) == 0:
		// Or the token that a workload shows to any other service would do here.
		return vaultapi.BadRequest("%q can not be empty", "audience")
	}
	if err := r.Token.Apply(p); err != nil {
		return err
	}
	return r.check()
}

// ShowKubernetes is the answer to reading such a role.
func (r *Role) ShowKubernetes() map[string]any {
	data := map[string]any{
		"bound_service_account_names":      slices.Clone(r.BoundClaims[accountName]),
		"bound_service_account_namespaces": slices.Clone(r.BoundClaims[accountNamespace]),
		"audience":                         strings.Join(r.BoundAudiences, ","),
	}
	r.Token.Show(data)
	return data
}
