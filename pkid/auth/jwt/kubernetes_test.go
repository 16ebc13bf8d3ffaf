package jwt_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/auth/jwt"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// serviceAccount is what a cluster puts into a projected token.
func serviceAccount(namespace, name string) string {
	return fmt.Sprintf(`{"aud":["vault://issuers/ca"],"exp":%s,"iat":%s,"nbf":%s,"iss":"https://kubernetes.default.svc","sub":"system:serviceaccount:%[4]s:%[5]s",
		"kubernetes.io":{"namespace":%[4]q,"serviceaccount":{"name":%[5]q,"uid":"u-1"}}}`, at(600), at(-1), at(-1), namespace, name)
}

func TestServiceAccounts(t *testing.T) {
	for _, c := range []struct {
		role, namespace, name string
		admitted              bool
	}{
		{`"bound_service_account_names":"cert-manager","bound_service_account_namespaces":"ops,issuers"`, "issuers", "cert-manager", true},
		{`"bound_service_account_names":"cert-manager","bound_service_account_namespaces":"ops,issuers"`, "issuers", "default", false},
		{`"bound_service_account_names":"cert-manager","bound_service_account_namespaces":"ops"`, "issuers", "cert-manager", false},
		{`"bound_service_account_names":"*","bound_service_account_namespaces":["team-*"]`, "team-a", "x", true},
		{`"bound_service_account_names":"*","bound_service_account_namespaces":["team-*"]`, "a-team-a", "x", false},
	} {
		r := &jwt.Role{}
		p, err := vaultapi.ParseJSON([]byte(`{` + c.role + `,"audience":"vault://issuers/ca","token_policies":"pki"}`))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.ApplyKubernetes(p); err != nil {
			t.Fatal(err)
		}
		login, err := r.Admit(claimsOf(t, serviceAccount(c.namespace, c.name)), now)
		if (err == nil) != c.admitted {
			t.Errorf("%s, %s/%s: %v", c.role, c.namespace, c.name, err)
		}
		if err == nil && (login.Meta["service_account_name"] != c.name || login.Meta["service_account_namespace"] != c.namespace || login.Meta["service_account_uid"] != "u-1") {
			t.Errorf("metadata %v", login.Meta)
		}
	}
}

func TestKubernetesRefused(t *testing.T) {
	for body, want := range map[string]string{
		`{}`:                                  `"bound_service_account_names" can not be empty`,
		`{"bound_service_account_names":"a"}`: `"bound_service_account_namespaces" can not be empty`,
		`{"bound_service_account_names":"a","bound_service_account_namespaces":"b"}`:                                                      `"audience" can not be empty`,
		`{"bound_service_account_names":"a","bound_service_account_namespaces":"b","audience":"c","token_policies":"root"}`:               "root",
		`{"bound_service_account_names":"a","audience":"c","bound_service_account_namespace_selector":"{\"matchLabels\":{\"a\":\"b\"}}"}`: "not asked about namespaces",
	} {
		p, err := vaultapi.ParseJSON([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := (&jwt.Role{}).ApplyKubernetes(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", body, err, want)
		}
	}
	for name, c := range map[string]struct {
		params map[string]any
		want   string
	}{
		"nothing":          {map[string]any{}, "no host provided"},
		"http":             {map[string]any{"kubernetes_host": "http://10.0.0.1:6443"}, "use https"},
		"TokenReview":      {map[string]any{"kubernetes_host": "https://k", "token_reviewer_jwt": "x"}, "TokenReview"},
		"issuer unnamed":   {map[string]any{"kubernetes_host": "https://k", "disable_iss_validation": "false"}, "name the issuer"},
		"issuer unchecked": {map[string]any{"kubernetes_host": "https://k", "disable_iss_validation": true, "issuer": "i"}, "leave it out"},
		"no PEM":           {map[string]any{"pem_keys": "x"}, "PEM"},
	} {
		if _, err := jwt.KubernetesConfigFromParams(vaultapi.NewParams(c.params)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
}

func TestKubernetesConfig(t *testing.T) {
	cfg, err := jwt.KubernetesConfigFromParams(vaultapi.NewParams(map[string]any{"kubernetes_host": "https://10.0.0.1:6443/", "issuer": "https://kubernetes.default.svc"}))
	if err != nil {
		t.Fatal(err)
	}
	shown := cfg.ShowKubernetes()
	if cfg.JWKSURL != "https://10.0.0.1:6443/openid/v1/jwks" || shown["kubernetes_host"] != "https://10.0.0.1:6443/" || shown["disable_iss_validation"] != false {
		t.Errorf("%+v, shown %v", cfg, shown)
	}
	cfg, err = jwt.KubernetesConfigFromParams(vaultapi.NewParams(map[string]any{"pem_keys": []any{ecSigner.pem(t)}, "kubernetes_host": "https://unused"}))
	if err != nil {
		t.Fatal(err)
	}
	wantVerify(t, verifier(t, cfg, standing), ecSigner.sign(t, `{}`), true)
}
