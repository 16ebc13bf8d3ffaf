package api_test

import (
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/pkid/api"
	"github.com/hsmpki/hsmpki/pkid/listen"
)

// become gives the peer these policies from now on.
func (s *server) become(t *testing.T, policies ...string) {
	t.Helper()
	peers, err := listen.NewPeers([]config.Peer{{Name: "me", User: strconv.Itoa(os.Getuid()), Policies: policies}})
	must(t, err)
	s.handler.Change(api.Settings{Peers: peers})
}

// TestPolicies: what a peer's policies give is let through, and all else is
// 403, by whatever way the path is written.
func TestPolicies(t *testing.T) {
	s := start(t)
	s.ca(t)
	s.do(t, "PUT", "sys/policies/acl/Issuer", `{"policy":"path \"pki/issue/web\" { capabilities = [\"update\"]\n denied_parameters = { ttl = [\"9h\"] } }\npath \"pki/roles\" { capabilities = [\"list\"] }\npath \"pki/root\" { capabilities = [\"delete\"] }"}`)
	if a := s.ask(t, "POST", "sys/policies/acl/issuer", `{"policy":"path \"a\" {\n capabilities = [\"x\"] }"}`); a.Status != 400 || !a.says("line 2") {
		t.Errorf("a text that is no policy: %d %s", a.Status, a.Body)
	}
	if a := s.do(t, "GET", "sys/policy/issuer", ""); a.Data["name"] != "issuer" || a.Data["rules"] == "" {
		t.Errorf("the older path: %v", a.Data)
	}
	if a := s.ask(t, "DELETE", "sys/policies/acl/root", ""); a.Status != 400 {
		t.Errorf("root was deleted: %d", a.Status)
	}

	s.become(t, "issuer", "default", "not-there")
	s.do(t, "POST", "pki/issue/web", `{"common_name":"a.example.com","ttl":"1h"}`)
	s.do(t, "POST", "pki//issue/web/", `{"common_name":"a.example.com"}`)
	s.do(t, "LIST", "pki/roles", "")
	if a := s.do(t, "POST", "sys/capabilities-self", `{"paths":"pki/issue/web"}`); !slices.Equal(a.Data["capabilities"].([]any), []any{"update"}) {
		t.Errorf("capabilities: %v", a.Data)
	}
	s.do(t, "GET", "sys/internal/ui/mounts/pki", "")
	if a := s.do(t, "GET", "sys/internal/ui/mounts", ""); len(a.Data["secret"].(map[string]any)) != 2 { // sys/ by the default policy
		t.Errorf("the mounts that the policies are about: %s", a.Body)
	}
	for _, c := range [][3]string{
		{"GET", "sys/internal/ui/mounts/cubbyhole"}, {"GET", "sys/internal/ui/mounts/elsewhere"},
		{"POST", "pki/issue/web", `{"common_name":"a.example.com","ttl":"9h"}`},
		{"POST", "pki/issue/web", `{"common_name":"a.example.com","TTL":"9h"}`},
		{"POST", "pki/issue/Web"}, {"POST", "PKI/issue/web"}, {"GET", "pki/issue/web"}, {"POST", "pki/issue/web/x"}, {"POST", "pki/sign/web"},
		{"POST", "pki/issuer/default/issue/web"}, {"GET", "pki/roles/web"}, {"POST", "pki/roles/web", `{}`}, {"DELETE", "pki/root"},
		{"GET", "sys/mounts"}, {"GET", "sys/policies/acl/issuer"}, {"POST", "sys/policies/acl/issuer", `{"policy":"path \"*\" { policy = \"sudo\" }"}`},
		{"POST", "sys/managed-keys/pkcs11/k", `{}`}, {"GET", "nonsense"},
	} {
		if a := s.ask(t, c[0], c[1], c[2]); a.Status != 403 {
			t.Errorf("%v: %d %s", c, a.Status, a.Body)
		}
	}
	for _, path := range []string{"pki/issue/../roles/web", "pki/issue/./web", "pki%2fissue/web", "pki/issue%2Fweb"} {
		if a := s.ask(t, "POST", path, `{}`); a.Status != 400 {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
}

// TestPoliciesFoldNames: names of roles, keys and policies are of small letters
// however they are written, so a rule about one is not passed by in capitals.
func TestPoliciesFoldNames(t *testing.T) {
	s := start(t)
	s.ca(t)
	s.do(t, "PUT", "sys/policies/acl/most", `{"policy":"path \"*\" { policy = \"sudo\" }\npath \"pki/issue/web\" { policy = \"deny\" }\npath \"pki/issuer/+/issue/web\" { policy = \"deny\" }\npath \"pki/roles/web\" { policy = \"deny\" }\npath \"pki/issuer/default/*\" { policy = \"deny\" }\npath \"pki/key/default\" { policy = \"deny\" }\npath \"sys/policies/acl/most\" { policy = \"deny\" }\npath \"sys/managed-keys/pkcs11/ca\" { policy = \"deny\" }"}`)
	s.become(t, "most")
	for _, c := range [][2]string{{"POST", "pki/issue/Web"}, {"POST", "pki/issuer/default/issue/WEB"}, {"POST", "pki/roles/wEb"}, {"GET", "pki/roles/Web"},
		{"POST", "pki/issuer/Default/issue/other"}, {"POST", "pki/issuer/DEFAULT/revoke"}, {"DELETE", "pki/key/dEfault"},
		{"PUT", "sys/policies/acl/Most"}, {"DELETE", "sys/managed-keys/pkcs11/CA"}} {
		if a := s.ask(t, c[0], c[1], `{}`); a.Status != 403 {
			t.Errorf("%v: %d %s", c, a.Status, a.Body)
		}
	}
	if a := s.do(t, "POST", "sys/capabilities-self", `{"paths":"pki/issue/WEB"}`); !slices.Equal(a.Data["capabilities"].([]any), []any{"deny"}) {
		t.Errorf("capabilities: %v", a.Data)
	}
}

// TestPoliciesOfLists: a list is a list, whichever verb asks for it.
func TestPoliciesOfLists(t *testing.T) {
	s := start(t)
	s.ca(t)
	s.do(t, "PUT", "sys/policies/acl/reader", `{"policy":"path \"pki/*\" { capabilities = [\"read\"] }"}`)
	s.do(t, "PUT", "sys/policies/acl/lister", `{"policy":"path \"pki/*\" { capabilities = [\"list\"] }"}`)
	for policy, want := range map[string]int{"reader": 403, "lister": 200} {
		s.become(t, policy)
		for _, c := range [][2]string{{"GET", "pki/roles"}, {"HEAD", "pki/roles"}, {"GET", "pki/roles?list=true"}, {"LIST", "pki/roles"}, {"GET", "pki/roles/"},
			{"GET", "pki/certs"}, {"GET", "pki/certs/detailed"}, {"GET", "pki/keys"}} {
			if a := s.ask(t, c[0], c[1], ""); a.Status != want {
				t.Errorf("%s: %v: %d %s", policy, c, a.Status, a.Body)
			}
		}
	}
	s.become(t, "reader")
	s.do(t, "GET", "pki/roles/web", "")
}
