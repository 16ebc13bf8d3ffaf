package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// noHSM is where no hsmd listens: tokens need none.
const noHSM = "/nowhere/hsmd.sock"

// with sends a request over TCP with a token.
func (s *server) with(t *testing.T, id, method, path, body string) *answer {
	t.Helper()
	return s.askAsStranger(t, method, path, body, "X-Vault-Token", id)
}

// made is a token of auth/token/create, by the peer.
func (s *server) made(t *testing.T, body string) (id, accessor string) {
	t.Helper()
	a := s.do(t, "POST", "auth/token/create", body)
	return a.Auth["client_token"].(string), a.Auth["accessor"].(string)
}

// TestTokens walks through a token's life, as clients over TCP see it.
func TestTokens(t *testing.T) {
	s := serve(t, noHSM)
	s.do(t, "PUT", "sys/policies/acl/dev", `{"policy":"path \"sys/mounts\" { capabilities = [\"read\"] }\npath \"auth/token/create\" { capabilities = [\"update\"] }"}`)
	a := s.do(t, "POST", "auth/token/create", `{"policies":["dev","gone"],"meta":{"k":"v"},"ttl":"1h","display_name":"ci","explicit_max_ttl":"2h"}`)
	if len(a.Warnings) != 1 || !a.says(`Policy "gone" does not exist`) {
		t.Errorf("warnings %q", a.Warnings)
	}
	if a.Data != nil || a.Auth["lease_duration"] != 3600.0 || a.Auth["renewable"] != true || a.Auth["orphan"] != true || a.Auth["token_type"] != "service" ||
		fmt.Sprint(a.Auth["policies"]) != "[default dev gone]" || fmt.Sprint(a.Auth["metadata"]) != "map[k:v]" {
		t.Errorf("auth %v", a.Auth)
	}
	id, accessor := a.Auth["client_token"].(string), a.Auth["accessor"].(string)

	self := s.with(t, id, "GET", "auth/token/lookup-self", "")
	for name, want := range map[string]any{"id": id, "accessor": accessor, "display_name": "token-ci", "ttl": 3599.0, "creation_ttl": 3600.0, "explicit_max_ttl": 7200.0,
		"renewable": true, "orphan": true, "type": "service", "num_uses": 0.0, "path": "auth/token/create", "entity_id": ""} {
		if got := self.Data[name]; got != want && (name != "ttl" || got != 3600.0) {
			t.Errorf("lookup-self: %s is %v, want %v", name, got, want)
		}
	}
	if until, err := time.Parse(time.RFC3339, fmt.Sprint(self.Data["expire_time"])); err != nil || time.Until(until) > time.Hour {
		t.Errorf("expire_time %v", self.Data["expire_time"])
	}
	bearer := s.askAsStranger(t, "GET", "sys/mounts", "", "Authorization", "bearer "+id)
	if bearer.Status != 200 {
		t.Errorf("as a bearer: %d", bearer.Status)
	}
	if a := s.with(t, id, "GET", "sys/auth", ""); a.Status != 403 || !a.says("permission denied") {
		t.Errorf("what its policies do not give: %d %s", a.Status, a.Body)
	}
	// The token alone decides, also where the peer may everything.
	if a := s.ask(t, "GET", "sys/auth", "", "X-Vault-Token", id); a.Status != 403 {
		t.Errorf("a token of root's peer: %d", a.Status)
	}
	// Its policies are those of this moment.
	s.do(t, "PUT", "sys/policies/acl/gone", `{"policy":"path \"sys/auth\" { capabilities = [\"read\"] }"}`)
	if a := s.with(t, id, "GET", "sys/auth", ""); a.Status != 200 {
		t.Errorf("after a change of its policies: %d", a.Status)
	}

	if a := s.with(t, id, "POST", "auth/token/renew-self", `{"increment":"90m"}`); a.Status != 200 || a.Auth["lease_duration"].(float64) < 5390 || a.Auth["client_token"] != id {
		t.Errorf("renewed: %s", a.Body)
	}
	if a := s.do(t, "POST", "auth/token/lookup", `{"token":"`+id+`"}`); a.Data["last_renewal_time"] == nil || a.Data["id"] != id {
		t.Errorf("after that: %v", a.Data)
	}
	if a := s.do(t, "POST", "auth/token/lookup-accessor", `{"accessor":"`+accessor+`"}`); a.Data["id"] != "" || a.Data["display_name"] != "token-ci" {
		t.Errorf("by its accessor: %v", a.Data)
	}
	if a := s.do(t, "POST", "sys/capabilities", `{"token":"`+id+`","paths":["sys/mounts"]}`); fmt.Sprint(a.Data["sys/mounts"]) != "[read]" {
		t.Errorf("its capabilities: %v", a.Data)
	}
	if a := s.do(t, "POST", "sys/capabilities-accessor", `{"accessor":"`+accessor+`","paths":["sys/seal"]}`); fmt.Sprint(a.Data["capabilities"]) != "[deny]" {
		t.Errorf("its capabilities: %v", a.Data)
	}
	if a := s.with(t, id, "GET", "sys/internal/ui/resultant-acl", ""); a.Data["root"] != false || !strings.Contains(a.Body, `"sys/mounts":{"capabilities":["read"]}`) {
		t.Errorf("the rules: %s", a.Body)
	}

	child := s.with(t, id, "POST", "auth/token/create", `{"policies":"dev"}`)
	if child.Auth["orphan"] != false || fmt.Sprint(child.Auth["policies"]) != "[default dev]" {
		t.Errorf("a child: %s", child.Body)
	}
	if a := s.with(t, id, "POST", "auth/token/create", `{"policies":"root"}`); a.Status != 400 || !a.says("child policies must be subset of parent") {
		t.Errorf("a child with more: %d %s", a.Status, a.Body)
	}
	if a := s.with(t, id, "POST", "auth/token/create-orphan", `{}`); a.Status != 403 {
		t.Errorf("an orphan: %d", a.Status)
	}
	if a := s.with(t, id, "POST", "auth/token/revoke-self", ""); a.Status != 204 {
		t.Errorf("revoked: %d %s", a.Status, a.Body)
	}
	for _, id := range []string{id, child.Auth["client_token"].(string)} {
		if a := s.with(t, id, "GET", "auth/token/lookup-self", ""); a.Status != 403 {
			t.Errorf("of the revoked tree one is let in: %s", a.Body)
		}
	}
	for path, c := range map[string]struct {
		body   string
		status int
		words  string
	}{
		"auth/token/lookup":           {`{"token":"` + id + `"}`, 403, "bad token"},
		"auth/token/lookup-accessor":  {`{"accessor":"` + accessor + `"}`, 403, "invalid accessor"},
		"auth/token/renew":            {`{"token":"` + id + `"}`, 400, "token not found"},
		"auth/token/renew-accessor":   {`{"accessor":"` + accessor + `"}`, 403, "invalid accessor"},
		"auth/token/revoke":           {`{"token":"` + id + `"}`, 204, ""},
		"auth/token/revoke-orphan":    {`{"token":"` + id + `"}`, 400, "token to revoke not found"},
		"auth/token/revoke-accessor":  {`{"accessor":"` + accessor + `"}`, 403, "invalid accessor"},
		"auth/token/renew-self":       {`{}`, 400, "lease is not renewable"},
		"auth/token/revoke-self":      {`{}`, 400, "peer"},
		"auth/token/create":           {`{"type":"batch"}`, 400, "batch"},
		"auth/token/create?large":     {`{"meta":{"k":"` + strings.Repeat("v", 65<<10) + `"}}`, 400, "64 KiB"},
		"auth/token/create/nobody":    {`{}`, 400, "unknown role nobody"},
		"auth/token/roles/x":          {`{"token_bound_cidrs":"300.0.0.1"}`, 400, "300.0.0.1"},
		"sys/capabilities":            {`{"token":"` + id + `","paths":["x"]}`, 400, "invalid token"},
		"sys/capabilities-accessor":   {`{"accessor":"x","paths":["x"]}`, 403, "invalid accessor"},
		"auth/token/create-orphan":    {`{"ttl":"-1h"}`, 400, "ttl"},
		"auth/token/create?policies=": {`{"policies":"a","policies":"root"}`, 400, "twice"},
	} {
		if a := s.ask(t, "POST", path, c.body); a.Status != c.status || c.words != "" && !a.says(c.words) {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if a := s.do(t, "POST", "auth/token/create?policies=root&id=mine", `{"policies":"dev","ttl":"1s"}`); fmt.Sprint(a.Auth["policies"]) != "[default dev]" || a.Auth["client_token"] == "mine" {
		t.Errorf("parameters in the query as well: %s", a.Body)
	} else {
		s.do(t, "POST", "auth/token/revoke-accessor", fmt.Sprintf(`{"accessor":%q}`, a.Auth["accessor"]))
	}
	s.do(t, "POST", "auth/token/tidy", "")
	if a := s.ask(t, "LIST", "auth/token/accessors", ""); a.Status != 404 {
		t.Errorf("accessors of tokens that are no more: %s", a.Body)
	}
}

// TestNoTokens: whatever is wrong with a token, the answer is the same.
func TestNoTokens(t *testing.T) {
	s := serve(t, noHSM)
	good, accessor := s.made(t, `{"policies":"root"}`)
	revoked, _ := s.made(t, `{}`)
	s.do(t, "POST", "auth/token/revoke", `{"token":"`+revoked+`"}`)
	bound := s.do(t, "POST", "auth/token/roles/far", `{"token_bound_cidrs":"192.0.2.0/24,2001:db8::1"}`)
	if bound.Status != 204 {
		t.Fatal(bound.Body)
	}
	far := s.do(t, "POST", "auth/token/create/far", `{}`).Auth["client_token"].(string)
	other, _ := serve(t, noHSM).made(t, `{}`)

	ended, _ := s.made(t, `{"ttl":"1s"}`)
	for s.with(t, ended, "GET", "auth/token/lookup-self", "").Status == 200 {
		time.Sleep(50 * time.Millisecond)
	}

	want := s.askAsStranger(t, "GET", "sys/mounts", "")
	for name, id := range map[string]string{"never made": "hvs." + strings.Repeat("A", 96), "malformed": "\"'%00 ;--", "revoked": revoked, "ended": ended, "of another state": other,
		"bound to other addresses": far, "an accessor": accessor, "cut off": good[:len(good)-1], "longer": good + "A", "in capitals": strings.ToUpper(good),
		"very long": strings.Repeat("A", 8000), "not ASCII": "ä"} {
		for _, header := range [][2]string{{"X-Vault-Token", id}, {"Authorization", "Bearer " + id}} {
			for _, path := range []string{"sys/mounts", "auth/token/lookup-self", "nonsense"} {
				if a := s.askAsStranger(t, "GET", path, "", header[0], header[1]); a.Status != 403 || a.Body != want.Body {
					t.Errorf("%s, at %s: %d %s", name, path, a.Status, a.Body)
				}
			}
			if a := s.ask(t, "GET", "sys/mounts", "", header[0], header[1]); a.Status != 403 || a.Body != want.Body {
				t.Errorf("%s, of a peer: %d %s", name, a.Status, a.Body)
			}
		}
		if a := s.with(t, id, "GET", "sys/seal-status", ""); a.Status != 200 {
			t.Errorf("%s: what strangers may: %d", name, a.Status)
		}
	}
	if a := s.askAsStranger(t, "GET", "sys/mounts", "", "X-Vault-Token", good, "Authorization", "Bearer "+good); a.Status != 200 {
		t.Errorf("one token by both headers: %d", a.Status)
	}
	for _, second := range []string{revoked, "x"} {
		if a := s.askAsStranger(t, "GET", "sys/mounts", "", "X-Vault-Token", good, "Authorization", "Bearer "+second); a.Status != 400 || !a.says("two different tokens") {
			t.Errorf("two different tokens: %d %s", a.Status, a.Body)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.tcp+"/v1/sys/mounts", nil)
	must(t, err)
	req.Header["X-Vault-Token"] = []string{good, other}
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Errorf("two different tokens in one header each: %d", resp.StatusCode)
	}
	if a := s.ask(t, "GET", "auth/token/lookup-self", "", "X-Vault-Token", far); a.Status != 403 {
		t.Errorf("a token that is bound to addresses, by the Unix socket: %d", a.Status)
	}
}

// TestTokenUses: of many who show a token of two uses at once two get in, and
// what strangers may is no use.
func TestTokenUses(t *testing.T) {
	s := serve(t, noHSM)
	id, _ := s.made(t, `{"num_uses":2,"policies":"root"}`)
	var in atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			s.with(t, id, "GET", "sys/health", "")
			if s.with(t, id, "GET", "sys/mounts", "").Status == 200 {
				in.Add(1)
			}
		})
	}
	all.Wait()
	if in.Load() != 2 {
		t.Errorf("used %d times", in.Load())
	}
	id, _ = s.made(t, `{"num_uses":1,"policies":"root"}`)
	if a := s.with(t, id, "POST", "auth/token/create-orphan", `{}`); a.Status != 400 || !a.says("restricted use token") {
		t.Errorf("its last use makes another: %d %s", a.Status, a.Body)
	}
	id, _ = s.made(t, `{"num_uses":1}`)
	if a := s.with(t, id, "GET", "auth/token/lookup-self", ""); a.Status != 200 || a.Data["num_uses"] != 0.0 {
		t.Errorf("its last use: %d %s", a.Status, a.Body)
	}
}

// TestRootTokens: only who has root makes a token that has it.
func TestRootTokens(t *testing.T) {
	s := serve(t, noHSM)
	s.do(t, "PUT", "sys/policies/acl/admin", `{"policy":"path \"auth/token/*\" { capabilities = [\"update\", \"sudo\", \"list\"] }"}`)
	admin, _ := s.made(t, `{"policies":"admin"}`)
	root, _ := s.made(t, `{}`)
	if a := s.with(t, root, "GET", "auth/token/lookup-self", ""); fmt.Sprint(a.Data["policies"]) != "[root]" || a.Data["expire_time"] != nil || a.Data["ttl"] != 0.0 || a.Data["renewable"] != false {
		t.Errorf("root's: %s", a.Body)
	}
	if a := s.with(t, root, "POST", "auth/token/create", `{"ttl":"20m"}`); a.Auth["lease_duration"] != 1200.0 || fmt.Sprint(a.Auth["policies"]) != "[root]" {
		t.Errorf("a child of root's: %s", a.Body)
	}
	s.do(t, "POST", "auth/token/roles/all", `{"allowed_policies_glob":"*"}`)
	for _, body := range []string{`{"policies":["root"]}`, `{"policies":["default","Root"]}`, `{"policies":"root,default","no_parent":true}`, `{"policies":["admin\nroot"]}`} {
		for _, path := range []string{"auth/token/create", "auth/token/create-orphan", "auth/token/create/all"} {
			if a := s.with(t, admin, "POST", path, body); a.Status != 400 {
				t.Errorf("%s %s: %d %s", path, body, a.Status, a.Body)
			}
		}
	}
	if a := s.with(t, admin, "POST", "auth/token/create", `{"id":"chosen-by-sudo","policies":"anything"}`); a.Auth["client_token"] != "chosen-by-sudo" {
		t.Errorf("a chosen id: %s", a.Body)
	}
	if a := s.with(t, admin, "POST", "auth/token/create", `{"id":"chosen-by-sudo"}`); a.Status != 400 || !a.says("duplicate ID") {
		t.Errorf("the same again: %s", a.Body)
	}
	if a := s.with(t, admin, "LIST", "auth/token/accessors", ""); len(a.Data["keys"].([]any)) != 4 {
		t.Errorf("accessors: %s", a.Body)
	}
	s.become(t, "admin")
	if a := s.ask(t, "POST", "auth/token/create", `{"policies":"root"}`); a.Status != 400 {
		t.Errorf("by a peer without root: %d %s", a.Status, a.Body)
	}
}

// TestTokenRoles: a role reads as it was written, keeps what is not written
// again, and is found in any letters.
func TestTokenRoles(t *testing.T) {
	s := serve(t, noHSM)
	s.do(t, "POST", "auth/token/roles/CI", `{"allowed_policies":["b","A"],"orphan":true,"period":"1h","token_num_uses":7,"path_suffix":"x","bound_cidrs":["127.0.0.1"]}`)
	s.do(t, "POST", "auth/token/roles/ci", `{"renewable":false,"token_period":"2h","period":"3h"}`)
	role := s.do(t, "GET", "auth/token/roles/ci", "").Data
	for name, want := range map[string]string{"name": "ci", "allowed_policies": "[a b]", "disallowed_policies": "[]", "orphan": "true", "renewable": "false", "period": "7200",
		"token_period": "7200", "token_num_uses": "7", "path_suffix": "x", "token_bound_cidrs": "[127.0.0.1/32]", "explicit_max_ttl": "0", "token_type": "default-service"} {
		if got := fmt.Sprint(role[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	// Sudo on the role's path is that on the path as it is meant, too.
	s.do(t, "POST", "auth/token/roles/plain", `{}`)
	s.do(t, "PUT", "sys/policies/acl/some", `{"policy":"path \"auth/token/create/*\" { capabilities = [\"update\", \"sudo\"] }\npath \"auth/token/create/plain\" { capabilities = [\"update\"] }"}`)
	some, _ := s.made(t, `{"policies":"some"}`)
	for _, name := range []string{"plain", "Plain"} {
		if a := s.with(t, some, "POST", "auth/token/create/"+name, `{"policies":"other"}`); a.Status != 400 || !a.says("child policies must be subset") {
			t.Errorf("create/%s: %d %s", name, a.Status, a.Body)
		}
	}
	s.do(t, "DELETE", "auth/token/roles/plain", "")
	a := s.do(t, "POST", "auth/token/create/Ci", `{"policies":"a"}`)
	if a.Auth["orphan"] != true || a.Auth["renewable"] != false || a.Auth["lease_duration"] != 7200.0 || a.Auth["num_uses"] != 7.0 {
		t.Errorf("by the role: %s", a.Body)
	}
	self := s.with(t, a.Auth["client_token"].(string), "GET", "auth/token/lookup-self", "")
	if self.Data["path"] != "auth/token/create/ci/x" || self.Data["role"] != "ci" || self.Data["period"] != 7200.0 || fmt.Sprint(self.Data["bound_cidrs"]) != "[127.0.0.1/32]" {
		t.Errorf("its token: %s", self.Body)
	}
	if a := s.do(t, "LIST", "auth/token/roles", ""); !slices.Equal(a.Data["keys"].([]any), []any{"ci"}) {
		t.Errorf("roles: %s", a.Body)
	}
	s.do(t, "DELETE", "auth/token/roles/CI", "")
	if a := s.ask(t, "GET", "auth/token/roles/ci", ""); a.Status != 404 {
		t.Errorf("a deleted role: %d", a.Status)
	}
}

// TestRevokePrefix: what was made at a path is revoked there, and what descends
// from it, and not what only begins with the same letters.
func TestRevokePrefix(t *testing.T) {
	s := serve(t, noHSM)
	s.do(t, "PUT", "sys/policies/acl/maker", `{"policy":"path \"auth/token/create/*\" { capabilities = [\"update\"] }\npath \"sys/leases/*\" { capabilities = [\"update\"] }"}`)
	s.do(t, "POST", "auth/token/roles/ci", `{"allowed_policies":"maker","path_suffix":"x"}`)
	s.do(t, "POST", "auth/token/roles/ci2", `{"allowed_policies":"maker"}`)
	by := func(role string) string {
		return s.do(t, "POST", "auth/token/create/"+role, `{}`).Auth["client_token"].(string)
	}
	plain, _ := s.made(t, `{"policies":"maker"}`)
	first, other := by("ci"), by("ci2")
	child := s.with(t, first, "POST", "auth/token/create/ci2", `{}`).Auth["client_token"].(string)
	if a := s.with(t, plain, "PUT", "sys/leases/revoke-prefix/auth", ""); a.Status != 403 {
		t.Errorf("without sudo: %d", a.Status)
	}
	for _, c := range []struct {
		prefix string
		live   [4]bool // of plain, first, child, other
	}{
		{"auth/token/create/c", [4]bool{true, true, true, true}},
		{"pki", [4]bool{true, true, true, true}},
		{"auth/token/create/ci", [4]bool{true, false, false, true}},
		{"auth/token/create", [4]bool{false, false, false, false}},
	} {
		s.do(t, "PUT", "sys/leases/revoke-prefix/"+c.prefix, "")
		for i, id := range []string{plain, first, child, other} {
			if got := s.with(t, id, "GET", "auth/token/lookup-self", "").Status == 200; got != c.live[i] {
				t.Errorf("after %s: token %d lives: %v", c.prefix, i, got)
			}
		}
	}
}
