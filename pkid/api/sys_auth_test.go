package api_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestSysAuth enables, reads, tunes and disables as Vault's client does.
func TestSysAuth(t *testing.T) {
	s := serve(t, "/nowhere/hsmd.sock")
	s.do(t, "POST", "sys/auth/team/ci", `{"type":"approle","description":"for CI","config":{"default_lease_ttl":"1h","max_lease_ttl":"","force_no_cache":false,
		"listing_visibility":"unauth","token_type":"default-service"}}`)
	for _, data := range []any{s.do(t, "GET", "sys/auth", "").Data["team/ci/"], s.do(t, "GET", "sys/internal/ui/mounts", "").Data["auth"].(map[string]any)["team/ci/"]} {
		m, _ := data.(map[string]any)
		accessor, _ := m["accessor"].(string)
		config, _ := m["config"].(map[string]any)
		if m["type"] != "approle" || m["description"] != "for CI" || !strings.HasPrefix(accessor, "auth_approle_") || config["default_lease_ttl"] != 3600.0 || config["max_lease_ttl"] != 0.0 {
			t.Errorf("%v", m)
		}
	}
	if s.do(t, "GET", "sys/auth", "").Data["token/"] == nil || s.do(t, "GET", "sys/auth/token", "").Data["type"] != "token" {
		t.Error("token/ is not there")
	}
	seen, _ := s.askAsStranger(t, "GET", "sys/internal/ui/mounts", "").Data["auth"].(map[string]any)
	if fmt.Sprint(seen) != "map[team/ci/:map[description:for CI options:<nil> type:approle]]" {
		t.Errorf("a stranger sees %v", seen)
	}
	s.do(t, "POST", "sys/mounts/auth/team/ci/tune", `{"max_lease_ttl":"2h","default_lease_ttl":"","description":"new"}`)
	tuned := s.do(t, "GET", "sys/auth/team/ci/tune", "").Data
	if tuned["default_lease_ttl"] != 3600.0 || tuned["max_lease_ttl"] != 7200.0 || tuned["description"] != "new" || tuned["token_type"] != "default-service" {
		t.Errorf("%v", tuned)
	}

	for _, c := range []struct{ method, path, body, words string }{
		{"POST", "sys/auth/x", `{"type":"ldap"}`, "plugin not found in the catalog"},
		{"POST", "sys/auth/x", `{}`, "plugin not found in the catalog"},
		{"POST", "sys/auth/token", `{"type":"approle"}`, "cannot be instantiated"},
		{"POST", "sys/auth/token/more", `{"type":"approle"}`, "already in use"},
		{"POST", "sys/auth/team/ci", `{"type":"approle"}`, "already in use"},
		{"POST", "sys/auth/team", `{"type":"approle"}`, "already in use"},
		{"POST", "sys/auth/team/ci/two", `{"type":"approle"}`, "already in use"},
		{"POST", "sys/auth/a+b", `{"type":"approle"}`, "has a part"},
		{"POST", "sys/auth/x", `{"type":"approle","config":{"token_type":"batch"}}`, "no batch tokens"},
		{"POST", "sys/auth/x", `{"type":"approle","config":{"default_lease_ttl":"9000h"}}`, "greater than max lease TTL"},
		{"POST", "sys/auth/x", `{"type":"approle","plugin_name":"mine"}`, "no plugins"},
		{"POST", "sys/auth/team/ci/tune", `{"max_lease_ttl":"1s"}`, "greater than max lease TTL"},
		{"POST", "sys/auth/team/ci/tune", `{"listing_visibility":"all"}`, "listing visibility"},
		{"POST", "sys/auth/none/tune", `{"max_lease_ttl":"1s"}`, "No auth engine"},
		{"GET", "sys/auth/none", "", "No auth engine"},
		{"DELETE", "sys/auth/token", "", "cannot be disabled"},
	} {
		if a := s.ask(t, c.method, c.path, c.body); a.Status != 400 || !a.says(c.words) {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, a.Status, a.Body)
		}
	}
	if a := s.do(t, "DELETE", "sys/auth/none", ""); a.Status != 204 {
		t.Errorf("%d", a.Status)
	}
}

// TestSysAuthNeedsSudo: who may enable ways to log in can make himself anybody.
func TestSysAuthNeedsSudo(t *testing.T) {
	s := serve(t, "/nowhere/hsmd.sock")
	s.do(t, "POST", "sys/policies/acl/plain", `{"policy":"path \"sys/auth*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\"] }"}`)
	s.do(t, "POST", "sys/policies/acl/admin", `{"policy":"path \"sys/auth/*\" { capabilities = [\"create\", \"update\", \"delete\", \"sudo\"] }"}`)
	for policy, status := range map[string]int{"plain": 403, "admin": 204} {
		token := s.do(t, "POST", "auth/token/create", fmt.Sprintf(`{"policies":%q}`, policy)).login(t).Auth.ClientToken
		if a := s.ask(t, "POST", "sys/auth/approle", `{"type":"approle"}`, "X-Vault-Token", token); a.Status != status {
			t.Errorf("%s: %d %s", policy, a.Status, a.Body)
		}
	}
	if a := s.askAsStranger(t, "GET", "sys/auth", ""); a.Status != 403 {
		t.Errorf("a stranger lists the ways to log in: %d", a.Status)
	}
}

// TestDisableRevokes: with a way to log in go the tokens of whoever used it, and
// what they made; and nothing else.
func TestDisableRevokes(t *testing.T) {
	s := serve(t, "/nowhere/hsmd.sock")
	s.do(t, "POST", "sys/policies/acl/more", `{"policy":"path \"auth/token/create\" { capabilities = [\"update\"] }"}`)
	var roleID, secretID string
	tokens := map[string]string{}
	for _, path := range []string{"ci", "ci2"} {
		roleID, secretID = s.approle(t, path, "web", `{"token_policies":"more"}`)
		tokens[path] = s.askAsStranger(t, "POST", "auth/"+path+"/login", credentials(roleID, secretID)).login(t).Auth.ClientToken
		tokens["child of "+path] = s.askAsStranger(t, "POST", "auth/token/create", `{}`, "X-Vault-Token", tokens[path]).login(t).Auth.ClientToken
	}
	s.do(t, "DELETE", "sys/auth/ci", "")
	for name, token := range tokens {
		want := 200
		if strings.HasSuffix(name, "ci") {
			want = 403
		}
		if a := s.askAsStranger(t, "GET", "auth/token/lookup-self", "", "X-Vault-Token", token); a.Status != want {
			t.Errorf("%s: %d", name, a.Status)
		}
	}
	if a := s.askAsStranger(t, "POST", "auth/ci/login", credentials(roleID, secretID)); a.Status != 403 {
		t.Errorf("a login where nothing is: %d %s", a.Status, a.Body)
	}
	s.do(t, "POST", "sys/auth/ci", `{"type":"approle"}`)
	if a := s.ask(t, "LIST", "auth/ci/role", ""); a.Status != 404 {
		t.Errorf("the roles of the old one: %s", a.Body)
	}
}
