package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// login is what a login, or the making of a token, answers.
type login struct {
	Auth struct {
		ClientToken   string `json:"client_token"`
		Accessor      string
		Policies      []string
		Metadata      map[string]string
		LeaseDuration int `json:"lease_duration"`
		Renewable     bool
		Orphan        bool
	}
}

func (a *answer) login(t *testing.T) (l login) {
	t.Helper()
	if a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	must(t, json.Unmarshal([]byte(a.Body), &l))
	return l
}

// approle enables AppRole at a path, with a role of these fields, and gives its
// role_id and a secret_id.
func (s *server) approle(t *testing.T, path, role, fields string) (roleID, secretID string) {
	t.Helper()
	s.do(t, "POST", "sys/auth/"+path, `{"type":"approle"}`)
	s.do(t, "POST", "auth/"+path+"/role/"+role, fields)
	roleID, _ = s.do(t, "GET", "auth/"+path+"/role/"+role+"/role-id", "").Data["role_id"].(string)
	secretID, _ = s.do(t, "POST", "auth/"+path+"/role/"+role+"/secret-id", "").Data["secret_id"].(string)
	return roleID, secretID
}

func credentials(roleID, secretID string) string {
	return fmt.Sprintf(`{"role_id":%q,"secret_id":%q}`, roleID, secretID)
}

// TestAppRoleLogin goes the way of cert-manager: a login by TCP, and what the
// token may do.
func TestAppRoleLogin(t *testing.T) {
	s := serve(t, "/nowhere/hsmd.sock")
	s.do(t, "POST", "sys/policies/acl/look", `{"policy":"path \"sys/mounts\" { capabilities = [\"read\"] }"}`)
	roleID, secretID := s.approle(t, "ci/approle", "Builder", `{"token_policies":"look","token_ttl":"10m","token_max_ttl":"20m"}`)

	l := s.askAsStranger(t, "POST", "auth/ci/approle/login", credentials(roleID, secretID)).login(t)
	if strings.Join(l.Auth.Policies, ",") != "default,look" || l.Auth.LeaseDuration != 600 || !l.Auth.Renewable || !l.Auth.Orphan || l.Auth.Metadata["role_name"] != "builder" {
		t.Errorf("%+v", l)
	}
	token := []string{"X-Vault-Token", l.Auth.ClientToken}
	for path, status := range map[string]int{"sys/mounts": 200, "sys/auth": 403, "auth/ci/approle/role/builder": 403} {
		if a := s.askAsStranger(t, "GET", path, "", token...); a.Status != status {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	self := s.askAsStranger(t, "GET", "auth/token/lookup-self", "", token...)
	if self.Data["path"] != "auth/ci/approle/login" || self.Data["display_name"] != "ci-approle" {
		t.Errorf("%s", self.Body)
	}
	// The role's limits go on: more than 20 minutes are not to be had.
	renewed := s.askAsStranger(t, "POST", "auth/token/renew-self", `{"increment":"2h"}`, token...).login(t)
	if d := renewed.Auth.LeaseDuration; d < 1190 || d > 1200 {
		t.Errorf("renewed for %d s", d)
	}

	// With the role goes the renewing, and every secret_id.
	s.do(t, "DELETE", "auth/ci/approle/role/builder", "")
	if a := s.askAsStranger(t, "POST", "auth/token/renew-self", "", token...); a.Status != 400 || !a.says("role") {
		t.Errorf("renewed although the role is gone: %d %s", a.Status, a.Body)
	}
	s.do(t, "POST", "auth/ci/approle/role/builder", fmt.Sprintf(`{"role_id":%q,"token_policies":"look"}`, roleID))
	if a := s.askAsStranger(t, "POST", "auth/ci/approle/login", credentials(roleID, secretID)); a.Status != 400 {
		t.Errorf("a secret_id of a role that was deleted: %d %s", a.Status, a.Body)
	}
}

// TestAppRoleRefusals has one answer for all that can be wrong.
func TestAppRoleRefusals(t *testing.T) {
	s := serve(t, "/nowhere/hsmd.sock")
	roleID, secretID := s.approle(t, "approle", "web", `{"token_policies":"look"}`)
	s.do(t, "POST", "auth/approle/role/far", `{"secret_id_bound_cidrs":"192.0.2.0/24","role_id":"far"}`)
	far, _ := s.do(t, "POST", "auth/approle/role/far/secret-id", "").Data["secret_id"].(string)
	s.do(t, "POST", "auth/approle/role/near", `{"role_id":"near","secret_id_num_uses":1}`)
	bound, _ := s.do(t, "POST", "auth/approle/role/near/secret-id", `{"cidr_list":"192.0.2.7"}`).Data["secret_id"].(string)
	once, _ := s.do(t, "POST", "auth/approle/role/near/secret-id", "").Data["secret_id"].(string)
	s.askAsStranger(t, "POST", "auth/approle/login", credentials("near", once)).login(t)
	gone := s.do(t, "POST", "auth/approle/role/web/secret-id", "").Data
	s.do(t, "POST", "auth/approle/role/web/secret-id-accessor/destroy", fmt.Sprintf(`{"secret_id_accessor":%q}`, gone["secret_id_accessor"]))
	destroyed, _ := gone["secret_id"].(string)

	for what, body := range map[string]string{
		"another role's secret_id": credentials(roleID, bound),
		"no such role_id":          credentials("nobody", secretID),
		"no such secret_id":        credentials(roleID, "guess"),
		"no secret_id":             credentials(roleID, ""),
		"a role's network":         credentials("far", far),
		"a secret_id's network":    credentials("near", bound),
		"used up":                  credentials("near", once),
		"destroyed":                credentials(roleID, destroyed),
		"the accessor":             credentials(roleID, fmt.Sprint(gone["secret_id_accessor"])),
	} {
		a := s.askAsStranger(t, "POST", "auth/approle/login", body)
		if a.Status != 400 || len(a.Errors) != 1 || a.Errors[0] != "invalid role or secret ID" {
			t.Errorf("%s: %d %s", what, a.Status, a.Body)
		}
	}
	for body, words := range map[string]string{
		`{"secret_id":"x"}`:                               "missing role_id",
		`{"role_id":"a","role_id":"b"}`:                   "role_id",
		`{"role_id":["a"],"secret_id":{"secret_id":"x"}}`: "Field validation failed",
	} {
		if a := s.askAsStranger(t, "POST", "auth/approle/login", body); a.Status != 400 || !a.says(words) {
			t.Errorf("%s: %d %s", body, a.Status, a.Body)
		}
	}
	for path, fields := range map[string]string{
		"auth/approle/role/x":                    `{"bind_secret_id":false}`,
		"auth/approle/role/y":                    `{"token_policies":"root"}`,
		"auth/approle/role/z":                    `{"role_id":"near"}`,
		"auth/approle/role/w":                    `{"token_type":"batch"}`,
		"auth/approle/role/v":                    `{"secret_id_bound_cidrs":"192.0.2.0/99"}`,
		"auth/approle/role/u":                    `{"secret_id_num_uses":-1}`,
		"auth/approle/role/near/secret-id":       `{"num_uses":2}`,
		"auth/approle/role/near/secret-id?":      `{"num_uses":0}`,
		"auth/approle/role/far/secret-id":        `{"cidr_list":"10.0.0.0/8"}`,
		"auth/approle/role/nothing/secret-id":    `{}`,
		"auth/approle/role/web/secret-id":        `{"metadata":{"a":1}}`,
		"auth/approle/role/nothing/period":       `{"period":60}`,
		"auth/approle/role/nothing/role-id":      `{"role_id":"q"}`,
		"auth/approle/role/web/custom-secret-id": fmt.Sprintf(`{"secret_id":%q}`, secretID),
	} {
		if a := s.ask(t, "POST", path, fields); a.Status/100 != 4 {
			t.Errorf("%s %s: %d %s", path, fields, a.Status, a.Body)
		}
	}
}

// TestOneUse: of many who show at once a secret_id that may be used a few times,
// so many get in.
func TestOneUse(t *testing.T) {
	s := serve(t, "/nowhere/hsmd.sock")
	for _, uses := range []int{1, 3} {
		path := fmt.Sprintf("approle%d", uses)
		roleID, secretID := s.approle(t, path, "web", fmt.Sprintf(`{"secret_id_num_uses":%d}`, uses))
		var wait sync.WaitGroup
		statuses := make(chan int, 16)
		for range cap(statuses) {
			wait.Go(func() {
				statuses <- s.askAsStranger(t, "POST", "auth/"+path+"/login", credentials(roleID, secretID)).Status
			})
		}
		wait.Wait()
		close(statuses)
		in := 0
		for status := range statuses {
			if status == 200 {
				in++
			}
		}
		if in != uses {
			t.Errorf("%d got in with a secret_id of %d uses", in, uses)
		}
	}
}

// TestSecretIDs looks at, lists and ends them, as Vault's client does.
func TestSecretIDs(t *testing.T) {
	s := serve(t, "/nowhere/hsmd.sock")
	s.approle(t, "approle", "web", `{"secret_id_ttl":"1h","secret_id_num_uses":5,"token_bound_cidrs":"127.0.0.0/8"}`)
	const role = "auth/approle/role/web"
	made := s.do(t, "POST", role+"/custom-secret-id", `{"secret_id":"chosen","metadata":"{\"host\":\"a\",\"role_name\":\"admin\"}","num_uses":2,"ttl":"30m"}`).Data
	if made["secret_id"] != "chosen" || made["secret_id_ttl"] != 1800.0 || made["secret_id_num_uses"] != 2.0 {
		t.Errorf("%v", made)
	}
	roleID, _ := s.do(t, "GET", role+"/role-id", "").Data["role_id"].(string)
	l := s.askAsStranger(t, "POST", "auth/approle/login", credentials(roleID, "chosen")).login(t)
	if l.Auth.Metadata["host"] != "a" || l.Auth.Metadata["role_name"] != "web" {
		t.Errorf("metadata: %v", l.Auth.Metadata)
	}
	found := s.do(t, "POST", role+"/secret-id/lookup", `{"secret_id":"chosen"}`).Data
	if found["secret_id_num_uses"] != 1.0 || found["secret_id_accessor"] != made["secret_id_accessor"] || found["secret_id"] != nil {
		t.Errorf("%v", found)
	}
	if keys, _ := s.do(t, "LIST", role+"/secret-id", "").Data["keys"].([]any); len(keys) != 2 {
		t.Errorf("accessors: %v", keys)
	}
	s.do(t, "DELETE", role+"/secret-id/destroy?secret_id=chosen", "")
	if a := s.ask(t, "POST", role+"/secret-id/lookup", `{"secret_id":"chosen"}`); a.Status != 204 {
		t.Errorf("still there: %s", a.Body)
	}
	if a := s.ask(t, "POST", role+"/secret-id-accessor/lookup", fmt.Sprintf(`{"secret_id_accessor":%q}`, made["secret_id_accessor"])); a.Status != 404 {
		t.Errorf("still there: %s", a.Body)
	}

	// One field at a time, by its newer name or the older.
	s.do(t, "POST", role+"/policies", `{"policies":"a,b"}`)
	s.do(t, "POST", role+"/token-ttl", `{"token_ttl":"5m"}`)
	s.do(t, "DELETE", role+"/secret-id-ttl", "")
	read := s.do(t, "GET", role, "").Data
	if fmt.Sprint(read["token_policies"]) != "[a b]" || read["token_ttl"] != 300.0 || read["secret_id_ttl"] != 0.0 || read["secret_id_num_uses"] != 5.0 {
		t.Errorf("%v", read)
	}
	if got := s.do(t, "GET", role+"/policies", "").Data["token_policies"]; fmt.Sprint(got) != "[a b]" {
		t.Errorf("policies: %v", got)
	}
	s.do(t, "POST", "auth/approle/tidy/secret-id", "")
}

// TestTemplates: what a policy and a role fill in is who logged in, also of the
// tokens that are made of his, but not of orphans; and who has a name that is no
// part of a path may nothing, and is told.
func TestTemplates(t *testing.T) {
	s := start(t)
	s.ca(t)
	roleID, secretID := s.approle(t, "approle", "web", `{"token_policies":"own","role_id":"team-web"}`)
	accessor, _ := s.do(t, "GET", "sys/auth/approle", "").Data["accessor"].(string)
	alias := "{{identity.entity.aliases." + accessor + "."
	policy := fmt.Sprintf(`path "pki/issue/%smetadata.role_name}}" { capabilities = ["update"] }
path "auth/token/*" { capabilities = ["update", "sudo"] }`, alias)
	raw, err := json.Marshal(map[string]string{"policy": policy})
	must(t, err)
	s.do(t, "POST", "sys/policies/acl/own", string(raw))
	s.do(t, "POST", "pki/roles/web", fmt.Sprintf(`{"allowed_domains":"%sname}}.example.com","allowed_domains_template":true,"allow_bare_domains":true}`, alias))
	s.do(t, "POST", "pki/roles/mail", `{"allow_any_name":true}`)

	id := s.askAsStranger(t, "POST", "auth/approle/login", credentials(roleID, secretID)).login(t).Auth.ClientToken
	child := s.with(t, id, "POST", "auth/token/create", `{"policies":"own"}`).login(t).Auth.ClientToken
	orphan := s.with(t, id, "POST", "auth/token/create", `{"policies":"own","no_parent":true}`).login(t).Auth.ClientToken
	for _, c := range []struct {
		token, path, name string
		status            int
	}{
		{id, "pki/issue/web", "team-web.example.com", 200}, {child, "pki/issue/web", "team-web.example.com", 200},
		{id, "pki/issue/web", "team-mail.example.com", 400}, {id, "pki/issue/mail", "a.example.com", 403}, {child, "pki/issue/mail", "a.example.com", 403},
		{orphan, "pki/issue/web", "team-web.example.com", 403},
	} {
		if a := s.with(t, c.token, "POST", c.path, fmt.Sprintf(`{"common_name":%q,"ttl":"1h"}`, c.name)); a.Status != c.status {
			t.Errorf("%s %s: %d %s, want %d", c.path, c.name, a.Status, a.Body, c.status)
		}
	}
	if a := s.do(t, "POST", "sys/capabilities", fmt.Sprintf(`{"token":%q,"paths":"pki/issue/web"}`, child)); a.Data["capabilities"].([]any)[0] != "update" {
		t.Errorf("capabilities: %s", a.Body)
	}
	if a := s.ask(t, "POST", "pki/issue/web", `{"common_name":"team-web.example.com"}`); a.Status != 400 {
		t.Errorf("a template was filled in for a peer: %d %s", a.Status, a.Body)
	}

	s.do(t, "POST", "auth/approle/role/odd", `{"token_policies":"own,odd","role_id":"*"}`)
	s.do(t, "POST", "sys/policies/acl/odd", fmt.Sprintf(`{"policy":"path \"secret/%sname}}\" { capabilities = [\"deny\"] }"}`, alias))
	secretID, _ = s.do(t, "POST", "auth/approle/role/odd/secret-id", "").Data["secret_id"].(string)
	a := s.askAsStranger(t, "POST", "auth/approle/login", credentials("*", secretID))
	odd := a.login(t).Auth.ClientToken
	if !a.says("may do nothing") || s.with(t, odd, "GET", "auth/token/lookup-self", "").Status != 403 {
		t.Errorf("a name that is a pattern: %s", a.Body)
	}
}
