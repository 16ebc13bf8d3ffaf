package test

import (
	"testing"

	vault "github.com/hashicorp/vault/api"

	"github.com/hsmpki/hsmpki/test/check"
)

// TestCertManagerLogins has cert-manager log in anew for each signature, as it
// does: by AppRole, and by the token of a service account. It reads client_token
// alone, and neither renews nor revokes.
func TestCertManagerLogins(t *testing.T) {
	p, url, caFile := onTLS(t)
	ca(t, p)
	cluster := startNomad(t) // which signs for whoever asks, as an API server does
	p.PKID.Must(t, "PUT", "sys/policies/acl/cert-manager", map[string]any{"policy": `path "pki/sign/web" { capabilities = ["create", "update"] }`})
	p.PKID.Must(t, "POST", "sys/auth/approle", map[string]any{"type": "approle"})
	p.PKID.Must(t, "POST", "auth/approle/role/cert-manager", map[string]any{"token_policies": "cert-manager", "token_ttl": "1m"})
	roleID := p.PKID.Must(t, "GET", "auth/approle/role/cert-manager/role-id", nil).String(t, "role_id")
	secretID := p.PKID.Must(t, "POST", "auth/approle/role/cert-manager/secret-id", nil).String(t, "secret_id")
	p.PKID.Must(t, "POST", "sys/auth/kubernetes", map[string]any{"type": "kubernetes"})
	p.PKID.Must(t, "POST", "auth/kubernetes/config", map[string]any{"kubernetes_host": cluster.URL})
	p.PKID.Must(t, "POST", "auth/kubernetes/role/vault-issuer", map[string]any{
		"bound_service_account_names": "vault-issuer", "bound_service_account_namespaces": "sandbox", "audience": "vault://sandbox/vault-issuer",
		"token_policies": "cert-manager", "token_ttl": "1m",
	})
	account := func(name string) string {
		return cluster.sign(t, map[string]any{
			"aud": []string{"vault://sandbox/vault-issuer"}, "sub": "system:serviceaccount:sandbox:" + name, "iss": "https://kubernetes.default.svc",
			"kubernetes.io": map[string]any{"namespace": "sandbox", "serviceaccount": map[string]any{"name": name, "uid": "u"}},
		})
	}
	login := func(path string, data map[string]any) (*vault.Client, error) {
		c := throughTLS(t, url, caFile, "")
		s, err := c.Logical().Write(path, data)
		if err == nil {
			c.SetToken(s.Auth.ClientToken)
		}
		return c, err
	}
	for path, data := range map[string]map[string]any{
		"auth/approle/login":    {"role_id": roleID, "secret_id": secretID},
		"auth/kubernetes/login": {"role": "vault-issuer", "jwt": account("vault-issuer")},
	} {
		for range 3 {
			c, err := login(path, data)
			sound(t, err)
			s, err := c.Logical().Write("pki/sign/web", map[string]any{
				"common_name": "www.example.com", "alt_names": "www.example.com", "ip_sans": "", "uri_sans": "",
				"ttl": "24h0m0s", "csr": request(t, "www.example.com"), "exclude_cn_from_sans": "true",
			})
			sound(t, err)
			if leaf := parse(t, s.Data["certificate"].(string)); leaf.VerifyHostname("www.example.com") != nil {
				t.Errorf("%s: names %v", path, leaf.DNSNames)
			}
			if _, err := c.Logical().Read("pki/roles/web"); !forbidden(err) {
				t.Errorf("%s: more than the policy says: %v", path, err)
			}
		}
	}
	for path, data := range map[string]map[string]any{
		"auth/approle/login":    {"role_id": roleID, "secret_id": roleID},
		"auth/kubernetes/login": {"role": "vault-issuer", "jwt": account("default")},
	} {
		if _, err := login(path, data); err == nil || forbidden(err) {
			t.Errorf("%s with what does not count: %v", path, err)
		}
	}
	check.CA(t, p)
}
