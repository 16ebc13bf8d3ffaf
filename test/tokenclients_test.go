package test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	vault "github.com/hashicorp/vault/api"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
)

// overTCP is Vault's client with a token, at a TCP listener.
func overTCP(t *testing.T, url, id string) *vault.Client {
	t.Helper()
	cfg := vault.DefaultConfig()
	if cfg.Error != nil {
		t.Fatal(cfg.Error)
	}
	cfg.Address = url
	cfg.MaxRetries = 0
	c, err := vault.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.SetToken(id)
	return c
}

func sound(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// forbidden reports whether a client is told that he may not, in the words that
// Nomad and others look for.
func forbidden(err error) bool {
	refusal, is := errors.AsType[*vault.ResponseError](err)
	return is && refusal.StatusCode == http.StatusForbidden && strings.Contains(err.Error(), "permission denied")
}

// operatorPolicy is that of the person who runs the CA in the tutorial.
const operatorPolicy = `path "pki/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
	path "auth/token/create" { capabilities = ["update"] }`

// withOperator has a CA, and a token of the policy "operator" for it.
func withOperator(t *testing.T, body map[string]any) (p *daemon.Pair, url, id string) {
	t.Helper()
	p, url = onTCP(t)
	ca(t, p)
	p.PKID.Must(t, "PUT", "sys/policies/acl/operator", map[string]any{"policy": operatorPolicy})
	c := vaultClient(t, p.PKID)
	s, err := c.Logical().Write("auth/token/create", body)
	sound(t, err)
	return p, url, s.Auth.ClientToken
}

// TestVaultClientTokens goes through a token's life with Vault's own client: a
// restart of pkid does not end it, nor does it bring back what was revoked.
func TestVaultClientTokens(t *testing.T) {
	p, url, id := withOperator(t, map[string]any{"policies": []string{"operator"}, "ttl": "1h"})
	c := overTCP(t, url, id)
	self, err := c.Auth().Token().LookupSelf()
	sound(t, err)
	if policies, err := self.TokenPolicies(); err != nil || !slices.Equal(policies, []string{"default", "operator"}) {
		t.Errorf("policies %v, %v", policies, err)
	}
	if ttl, err := self.TokenTTL(); err != nil || ttl > time.Hour || ttl < 59*time.Minute {
		t.Errorf("ttl %v, %v", ttl, err)
	}
	if renewable, err := self.TokenIsRenewable(); err != nil || !renewable {
		t.Errorf("renewable %v, %v", renewable, err)
	}
	renewed, err := c.Auth().Token().RenewSelf(7200)
	sound(t, err)
	if renewed.Auth.LeaseDuration != 7200 || !renewed.Auth.Renewable || renewed.Auth.ClientToken != id {
		t.Errorf("renewed %+v", renewed.Auth)
	}
	child, err := c.Auth().Token().Create(&vault.TokenCreateRequest{Policies: []string{"operator"}, TTL: "10m", DisplayName: "ci", Metadata: map[string]string{"job": "7"}})
	sound(t, err)
	leaf, err := overTCP(t, url, child.Auth.ClientToken).Logical().Write("pki/issue/web", map[string]any{"common_name": "www.example.com"})
	if err != nil || leaf.Data["serial_number"] == "" {
		t.Fatalf("issue with a child: %v, %v", leaf, err)
	}
	for _, path := range []string{"sys/mounts", "sys/policies/acl/operator", "sys/managed-keys/pkcs11/ca", "auth/token/accessors"} {
		if _, err := c.Logical().Read(path); !forbidden(err) {
			t.Errorf("%s: %v", path, err)
		}
	}

	p.PKID.Restart()
	if _, err := overTCP(t, url, child.Auth.ClientToken).Auth().Token().LookupSelf(); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	sound(t, c.Auth().Token().RevokeSelf(""))
	p.PKID.Kill9()
	p.PKID.Start()
	for _, id := range []string{id, child.Auth.ClientToken} {
		c.SetToken(id)
		if _, err := c.Auth().Token().LookupSelf(); !forbidden(err) {
			t.Errorf("a revoked token, or its child: %v", err)
		}
	}
	check.CA(t, p, id, child.Auth.ClientToken)
}

// TestTerraformToken: Terraform's provider looks its token up, makes a child for
// itself, which ends by itself, and works with that.
func TestTerraformToken(t *testing.T) {
	_, url, id := withOperator(t, map[string]any{"policies": []string{"operator"}})
	c := overTCP(t, url, id)
	self, err := c.Auth().Token().LookupSelf()
	sound(t, err)
	if path, has := self.Data["namespace_path"]; has && path != "" {
		t.Errorf("namespace_path %v", path)
	}
	renewable := false
	child, err := c.Auth().Token().Create(&vault.TokenCreateRequest{DisplayName: "terraform", TTL: "1200s", ExplicitMaxTTL: "1200s", Renewable: &renewable})
	sound(t, err)
	if child.Auth.LeaseDuration != 1200 || child.Auth.Renewable || !slices.Equal(child.Auth.Policies, []string{"default", "operator"}) {
		t.Errorf("the child: %+v", child.Auth)
	}
	c.SetToken(child.Auth.ClientToken)
	if _, err := c.Logical().Read("pki/roles/web"); err != nil {
		t.Error(err)
	}
	if _, err := c.Auth().Token().RenewSelf(0); err == nil || !strings.Contains(err.Error(), "lease is not renewable") {
		t.Errorf("renewing the child: %v", err)
	}
}

// TestExternalSecretsToken: External Secrets wants the type, the ttl as a number
// and an expire_time, which has to be there, and revokes its token at the end.
func TestExternalSecretsToken(t *testing.T) {
	p, url, id := withOperator(t, map[string]any{"policies": []string{"operator"}, "period": "1h"})
	root := p.PKID.Must(t, "POST", "auth/token/create", nil)
	var made struct {
		Auth struct {
			ClientToken string `json:"client_token"`
		}
	}
	sound(t, json.Unmarshal(root.Body, &made))
	for _, id := range []string{id, made.Auth.ClientToken} {
		c := overTCP(t, url, id)
		self, err := c.Auth().Token().LookupSelf()
		sound(t, err)
		if self.Data["type"] != "service" {
			t.Errorf("type %v", self.Data["type"])
		}
		if _, is := self.Data["ttl"].(json.Number); !is {
			t.Errorf("ttl is %T", self.Data["ttl"])
		}
		until, has := self.Data["expire_time"]
		if text, is := until.(string); !has || until != nil && !is {
			t.Errorf("expire_time is %T", until)
		} else if is {
			if _, err := time.Parse(time.RFC3339, text); err != nil {
				t.Error(err)
			}
		}
		sound(t, c.Auth().Token().RevokeSelf(id))
		if _, err := c.Auth().Token().LookupSelf(); !forbidden(err) {
			t.Errorf("after its end: %v", err)
		}
	}
}

// TestConsulAndSPIREToken: Consul and SPIRE look their token up, and have Vault's
// watcher renew it.
func TestConsulAndSPIREToken(t *testing.T) {
	_, url, id := withOperator(t, map[string]any{"policies": []string{"operator"}, "period": "1h"})
	c := overTCP(t, url, id)
	self, err := c.Auth().Token().LookupSelf()
	sound(t, err)
	if got, err := self.TokenID(); err != nil || got != id {
		t.Errorf("id %q, %v", got, err)
	}
	ttl, err := self.TokenTTL()
	sound(t, err)
	watcher, err := c.NewLifetimeWatcher(&vault.LifetimeWatcherInput{
		Secret:        &vault.Secret{Auth: &vault.SecretAuth{ClientToken: id, Renewable: true, LeaseDuration: int(ttl.Seconds())}},
		RenewBehavior: vault.RenewBehaviorIgnoreErrors,
	})
	sound(t, err)
	go watcher.Start()
	defer watcher.Stop()
	select {
	case renewal := <-watcher.RenewCh():
		if renewal.Secret.Auth.LeaseDuration != 3600 || !renewal.Secret.Auth.Renewable {
			t.Errorf("renewed %+v", renewal.Secret.Auth)
		}
	case err := <-watcher.DoneCh():
		t.Errorf("the watcher ended: %v", err)
	}
}

// TestRevokedTreeSurvivesKill: pkid is killed while it deletes a large revoked
// tree; none of it is let in then, and the deleting goes on.
func TestRevokedTreeSurvivesKill(t *testing.T) {
	p, url, id := withOperator(t, map[string]any{"policies": []string{"operator"}})
	c := overTCP(t, url, id)
	var child string
	for range 300 {
		s, err := c.Auth().Token().Create(&vault.TokenCreateRequest{})
		sound(t, err)
		child = s.Auth.ClientToken
	}
	sound(t, c.Auth().Token().RevokeSelf(""))
	sound(t, syscall.Kill(p.PKID.PID(), syscall.SIGKILL))
	p.PKID.WaitEnd()
	p.PKID.Start()
	if _, err := overTCP(t, url, child).Auth().Token().LookupSelf(); !forbidden(err) {
		t.Errorf("a child of the revoked token: %v", err)
	}
	p.PKID.Must(t, "POST", "auth/token/tidy", nil)
	p.PKID.Refused(t, "LIST", "auth/token/accessors", nil, 404, "")
}
