package api_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// issuer is somebody else's server that signs tokens: Nomad's, say.
type issuer struct {
	*httptest.Server
	key  ed25519.PrivateKey
	away atomic.Bool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{key: ed25519.NewKeyFromSeed(make([]byte, 32))}
	set := fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","use":"sig","alg":"EdDSA","x":%q}]}`, encode(i.key.Public().(ed25519.PublicKey)))
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if i.away.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, set)
	}))
	t.Cleanup(i.Close)
	return i
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// token signs claims, changed as "name": value.
func (i *issuer) token(changes map[string]any) string {
	claims := map[string]any{
		"aud": "vault.io", "sub": "global:default:web:web:server", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"nomad_namespace": "default", "nomad_job_id": "web",
	}
	for name, value := range changes {
		claims[name] = value
	}
	raw, _ := json.Marshal(claims)
	input := encode([]byte(`{"alg":"EdDSA","kid":"1"}`)) + "." + encode(raw)
	return input + "." + encode(ed25519.Sign(i.key, []byte(input)))
}

// withNomad sets up the way that Nomad logs in, as its manual has it.
func withNomad(t *testing.T, s *server) *issuer {
	t.Helper()
	i := newIssuer(t)
	s.do(t, "POST", "sys/auth/jwt-nomad", `{"type":"jwt"}`)
	s.do(t, "PUT", "auth/jwt-nomad/config", `{"jwks_url":"`+i.URL+`","jwt_supported_algs":["RS256","EdDSA"],"default_role":"nomad-workloads"}`)
	s.do(t, "PUT", "auth/jwt-nomad/role/nomad-workloads", `{"role_type":"jwt","bound_audiences":["vault.io"],"user_claim":"/nomad_job_id",
		"user_claim_json_pointer":true,"claim_mappings":{"nomad_namespace":"nomad_namespace","nomad_job_id":"nomad_job_id"},
		"token_type":"service","token_policies":["nomad-workloads"],"token_period":"30m","token_explicit_max_ttl":0}`)
	return i
}

func nomadLogin(t *testing.T, s *server, body map[string]string) *answer {
	t.Helper()
	raw, err := json.Marshal(body)
	must(t, err)
	return s.askAsStranger(t, "PUT", "auth/jwt-nomad/login", string(raw))
}

// TestLoginAsNomad makes Nomad's calls.
func TestLoginAsNomad(t *testing.T) {
	s := serve(t, noHSM)
	i := withNomad(t, s)
	s.do(t, "PUT", "sys/policies/acl/nomad-workloads", `{"policy":"path \"sys/mounts\" { capabilities = [\"read\"] }"}`)
	got := nomadLogin(t, s, map[string]string{"role": "nomad-workloads", "jwt": i.token(nil)})
	if got.Status != 200 || got.Auth["lease_duration"] != 1800.0 || got.Auth["renewable"] != true ||
		fmt.Sprint(got.Auth["policies"]) != "[default nomad-workloads]" ||
		fmt.Sprint(got.Auth["metadata"]) != "map[nomad_job_id:web nomad_namespace:default role:nomad-workloads]" {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	id := got.Auth["client_token"].(string)
	if a := s.with(t, id, "PUT", "auth/token/renew-self", `{"increment":1200}`); a.Status != 200 || a.Auth["lease_duration"] != 1800.0 {
		t.Errorf("renew-self: %d %s", a.Status, a.Body)
	}
	if a := s.with(t, id, "GET", "sys/mounts", ""); a.Status != 200 {
		t.Errorf("its policy: %d %s", a.Status, a.Body)
	}
	if a := s.with(t, id, "PUT", "auth/jwt-nomad/config", `{"jwks":"{}"}`); a.Status != 403 {
		t.Errorf("config as Nomad: %d %s", a.Status, a.Body)
	}
	if a := s.with(t, id, "GET", "auth/token/lookup-self", ""); a.Data["path"] != "auth/jwt-nomad/login" || a.Data["display_name"] != "jwt-nomad-web" {
		t.Errorf("lookup-self: %s", a.Body)
	}
	for body, want := range map[string]string{`{"jwt":"` + i.token(nil) + `"}`: "default_role", `{"role":"Nomad-Workloads","jwt":"` + i.token(nil) + `\n"}`: "other letters"} {
		if a := s.askAsStranger(t, "POST", "auth/jwt-nomad/login", body); a.Status != 200 {
			t.Errorf("%s: %d %s", want, a.Status, a.Body)
		}
	}
	// A stale token beside the login is nothing.
	if a := s.with(t, "hvs.stale", "PUT", "auth/jwt-nomad/login", `{"jwt":"`+i.token(nil)+`"}`); a.Status != 200 {
		t.Errorf("a stale token: %d %s", a.Status, a.Body)
	}

	// Without its role the token is not renewed, but lives on to its end.
	s.do(t, "DELETE", "auth/jwt-nomad/role/nomad-workloads", "")
	if a := s.with(t, id, "PUT", "auth/token/renew-self", `{}`); a.Status != 400 || !a.says(`role "nomad-workloads" does not exist during renewal`) {
		t.Errorf("renew-self without the role: %d %s", a.Status, a.Body)
	}
	if a := s.with(t, id, "GET", "sys/mounts", ""); a.Status != 200 {
		t.Errorf("its policy, without the role: %d %s", a.Status, a.Body)
	}

	s.do(t, "DELETE", "sys/auth/jwt-nomad", "")
	if a := s.with(t, id, "PUT", "auth/token/renew-self", `{}`); a.Status != 403 || !a.says("permission denied") {
		t.Errorf("after it was disabled: %d %s", a.Status, a.Body)
	}
}

// TestRefusedLoginsSayTheSame has refusals of all kinds, of which a stranger
// shall not tell one from another.
func TestRefusedLoginsSayTheSame(t *testing.T) {
	s := serve(t, noHSM)
	i := withNomad(t, s)
	s.do(t, "PUT", "auth/jwt-nomad/role/near", `{"bound_audiences":"vault.io","user_claim":"sub","token_bound_cidrs":"192.0.2.0/24"}`)
	foreign := &issuer{key: ed25519.NewKeyFromSeed([]byte(strings.Repeat("x", 32)))}
	none := encode([]byte(`{"alg":"none"}`)) + "." + strings.Split(i.token(nil), ".")[1] + "."
	const want = "error validating token: it, or the role, is not accepted here"
	for name, body := range map[string]map[string]string{
		"unknown role":         {"role": "other", "jwt": i.token(nil)},
		"unknown role, no JWT": {"role": "other", "jwt": "nonsense"},
		"no JWT":               {"jwt": "nonsense"},
		"a stranger's":         {"jwt": foreign.token(nil)},
		"alg none":             {"jwt": none},
		"wrong audience":       {"jwt": i.token(map[string]any{"aud": "vault"})},
		"expired":              {"jwt": i.token(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})},
		"issued in the future": {"jwt": i.token(map[string]any{"iat": time.Now().Add(time.Hour).Unix()})},
		"without an end":       {"jwt": i.token(map[string]any{"exp": nil})},
		"no user":              {"jwt": i.token(map[string]any{"nomad_job_id": nil})},
		"from elsewhere":       {"role": "near", "jwt": i.token(nil)},
	} {
		if got := nomadLogin(t, s, body); got.Status != 400 || len(got.Errors) != 1 || got.Errors[0] != want {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	for body, want := range map[string]string{
		`{"role":"near"}`:                     "missing token",
		`{"jwt":["a"]}`:                       "error converting input",
		`{"jwt":"a","jwt":"b"}`:               "twice",
		`{"role":"near","role":"x","jwt":""}`: "twice",
	} {
		if got := s.askAsStranger(t, "PUT", "auth/jwt-nomad/login", body); got.Status != 400 || !got.says(want) {
			t.Errorf("%s: %d %s", body, got.Status, got.Body)
		}
	}
}

func TestKeysThatCannotBeFetched(t *testing.T) {
	s := serve(t, noHSM)
	i := newIssuer(t)
	i.away.Store(true)
	s.do(t, "POST", "sys/auth/jwt-nomad", `{"type":"jwt"}`)
	if got := nomadLogin(t, s, map[string]string{"role": "r", "jwt": i.token(nil)}); got.Status != 400 {
		t.Errorf("without a configuration: %d %s", got.Status, got.Body)
	}
	if got := s.ask(t, "PUT", "auth/jwt-nomad/config", `{"jwks_url":"`+i.URL+`"}`); got.Status != 200 || !got.says("HTTP 502; logins fail until they can") {
		t.Errorf("config: %d %s", got.Status, got.Body)
	}
	if got := nomadLogin(t, s, map[string]string{"role": "r", "jwt": i.token(nil)}); got.Status != 503 || got.Header.Get("Retry-After") == "" || got.says("502") {
		t.Errorf("login: %d %s", got.Status, got.Body)
	}
	if got := nomadLogin(t, s, map[string]string{"jwt": i.token(nil)}); got.Status != 400 || !got.says("missing role") {
		t.Errorf("no role: %d %s", got.Status, got.Body)
	}
}

func TestJWTConfigAndRoles(t *testing.T) {
	s := serve(t, noHSM)
	s.do(t, "POST", "sys/auth/ci/jwt", `{"type":"jwt"}`)
	for _, path := range []string{"config", "role", "role/web"} {
		if got := s.ask(t, "GET", "auth/ci/jwt/"+path, ""); got.Status != 404 || got.Body != `{"errors":[]}`+"\n" && got.Body != `{"errors":[]}` {
			t.Errorf("%s before it was written: %d %s", path, got.Status, got.Body)
		}
	}
	i := newIssuer(t)
	s.do(t, "POST", "auth/ci/jwt/config", `{"jwks_url":"`+i.URL+`","bound_issuer":"ci"}`)
	if got := s.do(t, "GET", "auth/ci/jwt/config", ""); got.Data["jwks_url"] != i.URL || got.Data["bound_issuer"] != "ci" {
		t.Errorf("config: %s", got.Body)
	}
	s.do(t, "POST", "auth/ci/jwt/role/Web", `{"user_claim":"sub","bound_claims":{"ref":["main","v*"]},"bound_claims_type":"glob","token_ttl":"10m","surplus":1}`)
	if got := s.do(t, "LIST", "auth/ci/jwt/role", ""); fmt.Sprint(got.Data["keys"]) != "[web]" {
		t.Errorf("roles: %s", got.Body)
	}
	got := s.do(t, "GET", "auth/ci/jwt/role/WEB", "")
	if got.Data["token_ttl"] != 600.0 || fmt.Sprint(got.Data["bound_claims"]) != "map[ref:[main v*]]" || got.Data["role_type"] != "jwt" {
		t.Errorf("role: %s", got.Body)
	}
	if got := s.ask(t, "POST", "auth/ci/jwt/role/web", `{"role_type":"oidc"}`); got.Status != 400 || !got.says("browser") {
		t.Errorf("oidc: %d %s", got.Status, got.Body)
	}
	if got := s.ask(t, "POST", "auth/ci/jwt/config", `{"jwks_url":"http://10.0.0.1/"}`); got.Status != 400 || !got.says("use https") {
		t.Errorf("http: %d %s", got.Status, got.Body)
	}
	for _, path := range []string{"config", "role", "role/web"} {
		if got := s.askAsStranger(t, "GET", "auth/ci/jwt/"+path, ""); got.Status != 403 {
			t.Errorf("%s as a stranger: %d %s", path, got.Status, got.Body)
		}
	}
	s.do(t, "DELETE", "auth/ci/jwt/role/web", "")
	if got := s.ask(t, "GET", "auth/ci/jwt/role/web", ""); got.Status != 404 {
		t.Errorf("deleted: %d %s", got.Status, got.Body)
	}
}

// TestLoginAsCertManager makes cert-manager's call, with the token of a service
// account.
func TestLoginAsCertManager(t *testing.T) {
	s := serve(t, noHSM)
	i := newIssuer(t)
	s.do(t, "POST", "sys/auth/kubernetes", `{"type":"kubernetes"}`)
	s.do(t, "POST", "auth/kubernetes/config", `{"kubernetes_host":"`+i.URL+`"}`)
	s.do(t, "POST", "auth/kubernetes/role/issuer", `{"bound_service_account_names":"vault-issuer","bound_service_account_namespaces":"sandbox",
		"audience":"vault://sandbox/vault-issuer","token_policies":"pki","token_ttl":"1m"}`)
	if got := s.do(t, "GET", "auth/kubernetes/role/issuer", ""); fmt.Sprint(got.Data["bound_service_account_names"]) != "[vault-issuer]" || got.Data["token_ttl"] != 60.0 {
		t.Errorf("role: %s", got.Body)
	}
	account := func(name string) string {
		return i.token(map[string]any{
			"aud": []string{"vault://sandbox/vault-issuer"}, "sub": "system:serviceaccount:sandbox:" + name,
			"kubernetes.io": map[string]any{"namespace": "sandbox", "serviceaccount": map[string]any{"name": name, "uid": "u"}},
		})
	}
	got := s.askAsStranger(t, "POST", "auth/kubernetes/login", `{"role":"issuer","jwt":"`+account("vault-issuer")+`"}`)
	if got.Status != 200 || fmt.Sprint(got.Auth["policies"]) != "[default pki]" || got.Auth["lease_duration"] != 60.0 ||
		fmt.Sprint(got.Auth["metadata"]) != "map[role:issuer service_account_name:vault-issuer service_account_namespace:sandbox service_account_uid:u]" {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	if got := s.askAsStranger(t, "POST", "auth/kubernetes/login", `{"role":"issuer","jwt":"`+account("default")+`"}`); got.Status != 400 || !got.says("not accepted here") {
		t.Errorf("another account: %d %s", got.Status, got.Body)
	}
}
