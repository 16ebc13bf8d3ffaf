package test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	vault "github.com/hashicorp/vault/api"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
)

// onTLS is a pair of which pkid listens with TLS too, and the file of the
// certificate that it shows.
func onTLS(t *testing.T) (p *daemon.Pair, url, caFile string) {
	t.Helper()
	p = daemon.Start(t)
	p.PKID.Stop()
	address, dir := freePort(t), t.TempDir()
	files := &tlsFiles{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
	files.write(t)
	pkid := daemon.NewPKID(t, p.HSMD, fmt.Sprintf("listener \"tcp\" {\n  address       = %q\n  tls_cert_file = %q\n  tls_key_file  = %q\n}\n",
		address, files.certificate, files.key))
	pkid.OnStateOf(t, p.PKID)
	pkid.Start()
	p.PKID = pkid
	return p, "https://" + address, files.certificate
}

// throughTLS is Vault's client with a token, "" for none.
func throughTLS(t *testing.T, url, caFile, id string) *vault.Client {
	t.Helper()
	cfg := vault.DefaultConfig()
	sound(t, cfg.Error)
	cfg.Address, cfg.MaxRetries = url, 0
	sound(t, cfg.ConfigureTLS(&vault.TLSConfig{CACert: caFile}))
	c, err := vault.NewClient(cfg)
	sound(t, err)
	c.ClearToken()
	if id != "" {
		c.SetToken(id)
	}
	return c
}

// madeToken is the id of a token with one policy.
func madeToken(t *testing.T, p *daemon.Pair, policy string) string {
	t.Helper()
	s, err := vaultClient(t, p.PKID).Auth().Token().Create(&vault.TokenCreateRequest{Policies: []string{policy}, TTL: "1h"})
	sound(t, err)
	return s.Auth.ClientToken
}

// TestTutorialOverTLS walks through the tutorial with Vault's own client and two
// tokens: one defines the key and says which mount may use it, the other runs the
// CA, and neither can do the other's work.
func TestTutorialOverTLS(t *testing.T) {
	p, url, caFile := onTLS(t)
	for name, text := range twoPeople {
		p.PKID.Must(t, "PUT", "sys/policies/acl/"+name, map[string]any{"policy": text})
	}
	keeper, operator := throughTLS(t, url, caFile, madeToken(t, p, "keys")), throughTLS(t, url, caFile, madeToken(t, p, "ca"))
	does := func(c *vault.Client, path string, data map[string]any) map[string]any {
		t.Helper()
		s, err := c.Logical().Write(path, data)
		sound(t, err)
		if s == nil {
			return nil
		}
		return s.Data
	}
	mayNot := func(c *vault.Client, path string, data map[string]any) {
		t.Helper()
		if _, err := c.Logical().Write(path, data); !forbidden(err) {
			t.Errorf("%s: %v", path, err)
		}
	}
	learn := definition(p, "learn")
	learn["any_mount"] = false
	generate := map[string]any{"managed_key_name": "learn", "common_name": "example.com", "ttl": "8760h"}
	allow := map[string]any{"allowed_managed_keys": "learn"}

	mayNot(operator, "sys/managed-keys/pkcs11/learn", learn)
	does(keeper, "sys/managed-keys/pkcs11/learn", learn)
	does(keeper, "sys/managed-keys/pkcs11/learn/test/sign", nil)
	mayNot(keeper, "sys/mounts/pki", map[string]any{"type": "pki"})
	does(operator, "sys/mounts/pki", map[string]any{"type": "pki"})
	mayNot(operator, "sys/mounts/pki/tune", allow)
	does(keeper, "sys/mounts/pki/tune", allow)
	mayNot(keeper, "pki/root/generate/kms", generate)
	root := does(operator, "pki/root/generate/kms", generate)
	does(operator, "pki/config/urls", map[string]any{"issuing_certificates": url + "/v1/pki/ca", "crl_distribution_points": url + "/v1/pki/crl"})
	does(operator, "pki/roles/web", map[string]any{"allowed_domains": "example.com", "allow_subdomains": true, "max_ttl": "72h"})
	mayNot(keeper, "pki/issue/web", map[string]any{"common_name": "test.example.com"})
	leaf := does(operator, "pki/issue/web", map[string]any{"common_name": "test.example.com"})
	if leaf["issuing_ca"] != root["certificate"] {
		t.Error("the certificate is not the root's")
	}
	mayNot(operator, "sys/policies/acl/ca", map[string]any{"policy": `path "*" { capabilities = ["sudo", "update"] }`})
	stranger := throughTLS(t, url, caFile, "")
	mayNot(stranger, "pki/issue/web", map[string]any{"common_name": "test.example.com"})
	check.CA(t, p)
}

// TestConsulTemplateToken has consul-template work with a token of one policy,
// over TLS, and renew it.
func TestConsulTemplateToken(t *testing.T) {
	program := consulTemplate(t)
	p, url, caFile := onTLS(t)
	ca(t, p)
	p.PKID.Must(t, "PUT", "sys/policies/acl/web", map[string]any{"policy": `path "pki/issue/web" { capabilities = ["update"] }`})
	id := madeToken(t, p, "web")
	run := func(role string) (string, error) {
		dir := t.TempDir()
		writeOrFail(t, filepath.Join(dir, "ct.hcl"), fmt.Sprintf(`
vault {
  address      = %q
  renew_token  = true
  unwrap_token = false
  retry { enabled = false }
  ssl { ca_cert = %q }
}
template {
  contents    = "{{ with pkiCert \"pki/issue/%s\" \"common_name=ct.example.com\" \"ttl=24h\" }}{{ .Cert }}{{ end }}"
  destination = %q
}
`, url, caFile, role, filepath.Join(dir, "web.pem")))
		cmd := exec.Command(program, "-once", "-config", filepath.Join(dir, "ct.hcl"))
		cmd.Env = append(os.Environ(), "VAULT_TOKEN="+id, "HOME="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return string(out), err
		}
		text, err := os.ReadFile(filepath.Join(dir, "web.pem"))
		return string(text), err
	}
	text, err := run("web")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if leaf := parse(t, text); leaf.VerifyHostname("ct.example.com") != nil {
		t.Errorf("names %v", leaf.DNSNames)
	}
	self, err := throughTLS(t, url, caFile, id).Auth().Token().LookupSelf()
	sound(t, err)
	if self.Data["last_renewal"] == nil {
		t.Errorf("the token was not renewed: %v", self.Data)
	}
	if out, err := run("other"); err == nil || !strings.Contains(out, "permission denied") {
		t.Errorf("another role: %v\n%s", err, out)
	}
	check.CA(t, p)
}

// nomad is a server that signs tokens for the jobs that it runs, and shows its
// key.
type nomad struct {
	*httptest.Server
	key ed25519.PrivateKey
}

func startNomad(t *testing.T) *nomad {
	t.Helper()
	n := &nomad{key: ed25519.NewKeyFromSeed(make([]byte, 32))}
	x := base64.RawURLEncoding.EncodeToString(n.key.Public().(ed25519.PublicKey))
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"use":"sig","kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"n","x":%q}]}`, x)
	}))
	t.Cleanup(n.Close)
	return n
}

// identity is what Nomad gives a job's task.
func (n *nomad) identity(t *testing.T, job string) string {
	t.Helper()
	return n.sign(t, map[string]any{
		"aud": "vault.io", "sub": "global:default:" + job + ":group:task:vault_default", "jti": "1",
		"nomad_namespace": "default", "nomad_job_id": job, "nomad_task": "task",
	})
}

// sign makes a token that counts for an hour.
func (n *nomad) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	claims["iat"], claims["nbf"], claims["exp"] = time.Now().Unix(), time.Now().Unix(), time.Now().Add(time.Hour).Unix()
	raw, err := json.Marshal(claims)
	sound(t, err)
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(`{"typ":"JWT","alg":"EdDSA","kid":"n"}`)) + "." + encode(raw)
	return input + "." + encode(ed25519.Sign(n.key, []byte(input)))
}

// TestNomad makes the calls of Nomad, for one job of two, with a kill -9 of pkid
// between the login and the renewal.
func TestNomad(t *testing.T) {
	p, url, caFile := onTLS(t)
	ca(t, p)
	n := startNomad(t)
	p.PKID.Must(t, "PUT", "sys/policies/acl/nomad-workloads", map[string]any{"policy": `path "pki/issue/web" { capabilities = ["update"] }`})
	p.PKID.Must(t, "POST", "sys/auth/jwt-nomad", map[string]any{"type": "jwt"})
	p.PKID.Must(t, "PUT", "auth/jwt-nomad/config", map[string]any{"jwks_url": n.URL + "/.well-known/jwks.json", "jwt_supported_algs": []string{"RS256", "EdDSA"}, "default_role": "nomad-workloads"})
	p.PKID.Must(t, "PUT", "auth/jwt-nomad/role/nomad-workloads", map[string]any{
		"role_type": "jwt", "bound_audiences": []string{"vault.io"}, "bound_claims": map[string]any{"nomad_job_id": "web"}, "user_claim": "/nomad_job_id",
		"user_claim_json_pointer": true, "claim_mappings": map[string]string{"nomad_namespace": "nomad_namespace", "nomad_job_id": "nomad_job_id"},
		"token_type": "service", "token_policies": []string{"nomad-workloads"}, "token_period": "30m", "token_explicit_max_ttl": 0,
	})
	c := throughTLS(t, url, caFile, "")
	s, err := c.Logical().Write("auth/jwt-nomad/login", map[string]any{"role": "nomad-workloads", "jwt": n.identity(t, "web")})
	sound(t, err)
	if s.Auth == nil || s.Auth.LeaseDuration != 1800 || !s.Auth.Renewable || s.Auth.Metadata["nomad_job_id"] != "web" {
		t.Fatalf("login answers %+v", s.Auth)
	}
	p.PKID.Kill9()
	p.PKID.Start()
	c.SetToken(s.Auth.ClientToken)
	renewed, err := c.Auth().Token().RenewSelf(1200)
	sound(t, err)
	if renewed.Auth.LeaseDuration != 1800 {
		t.Errorf("renew-self answers %+v", renewed.Auth)
	}
	_, err = c.Logical().Write("pki/issue/web", map[string]any{"common_name": "www.example.com"})
	sound(t, err)
	other := throughTLS(t, url, caFile, "")
	if _, err := other.Logical().Write("auth/jwt-nomad/login", map[string]any{"role": "nomad-workloads", "jwt": n.identity(t, "other")}); err == nil || forbidden(err) {
		t.Errorf("another job: %v", err)
	}
	p.PKID.Must(t, "DELETE", "sys/auth/jwt-nomad", nil)
	if _, err := c.Auth().Token().RenewSelf(1200); !forbidden(err) {
		t.Errorf("renew-self, once Nomad's way was disabled: %v", err)
	}
	check.CA(t, p)
}
