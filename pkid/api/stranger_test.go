package api_test

import (
	"strings"
	"testing"
)

// strangerMayRead are all paths that answer without a token, as Vault has them
// (vault-api.md, those marked U), as far as they are served.
var strangerMayRead = []string{
	"sys/health", "sys/seal-status", "sys/leader", "sys/init", "sys/internal/ui/mounts",
	"pki/ca", "pki/ca/pem", "pki/ca_chain", "pki/crl", "pki/crl/pem",
	"pki/cert/ca", "pki/cert/ca/raw", "pki/cert/ca/raw/pem", "pki/cert/ca_chain", "pki/cert/crl", "pki/cert/crl/raw", "pki/cert/crl/raw/pem",
	"pki/cert/SERIAL", "pki/cert/SERIAL/raw", "pki/cert/SERIAL/raw/pem",
	"pki/issuers?list=true", "pki/issuer/default/json", "pki/issuer/default/der", "pki/issuer/default/pem",
	"pki/issuer/default/crl", "pki/issuer/default/crl/der", "pki/issuer/default/crl/pem",
}

// strangerMayNot are verb and path of what he is refused, whether it is there
// or not.
var strangerMayNot = [][2]string{
	{"GET", "sys/mounts"}, {"POST", "sys/mounts/x"}, {"DELETE", "sys/mounts/pki"}, {"GET", "sys/mounts/pki/tune"}, {"POST", "sys/mounts/pki/tune"},
	{"POST", "sys/remount"}, {"GET", "sys/auth"}, {"GET", "sys/ha-status"}, {"GET", "sys/internal/ui/mounts/pki"}, {"GET", "sys/internal/ui/resultant-acl"},
	{"LIST", "sys/managed-keys/pkcs11"}, {"GET", "sys/managed-keys/pkcs11/k"}, {"POST", "sys/managed-keys/pkcs11/k"}, {"POST", "sys/managed-keys/pkcs11/k/test/sign"},
	{"GET", "auth/token/lookup-self"}, {"POST", "auth/token/renew-self"}, {"POST", "sys/capabilities-self"}, {"GET", "sys/policies/acl/x"},
	{"LIST", "pki/certs"}, {"GET", "pki/certs"}, {"LIST", "pki/roles"}, {"GET", "pki/roles/web"}, {"POST", "pki/roles/web"}, {"DELETE", "pki/roles/web"},
	{"GET", "pki/issuer/default"}, {"POST", "pki/issuer/default"}, {"LIST", "pki/keys"}, {"GET", "pki/key/default"},
	{"GET", "pki/config/urls"}, {"POST", "pki/config/urls"}, {"GET", "pki/config/issuers"}, {"POST", "pki/config/keys"},
	{"POST", "pki/issue/web"}, {"POST", "pki/sign/web"}, {"POST", "pki/sign-verbatim"}, {"POST", "pki/issuer/default/issue/web"},
	{"POST", "pki/root/generate/internal"}, {"DELETE", "pki/root"}, {"GET", "pki/roles?help=1"},
	{"GET", "pki/nonsense"}, {"GET", "nonsense/ca"}, {"GET", "sys/nonsense"}, {"GET", "cubbyhole/x"},
}

// TestStranger comes over TCP, without a token and with guessed ones; a token
// that is there decides alone, so a peer with one is a stranger as well.
func TestStranger(t *testing.T) {
	s := start(t)
	s.ca(t)
	serial := s.do(t, "LIST", "pki/certs", "").Data["keys"].([]any)[0].(string)
	type asker struct {
		who string
		ask func(method, path, body string) *answer
	}
	askers := []asker{{"a stranger", func(m, p, b string) *answer { return s.askAsStranger(t, m, p, b) }}}
	for _, header := range [][]string{{"X-Vault-Token", "root"}, {"X-Vault-Token", "hvs.guess"}, {"Authorization", "Bearer hvs.guess"}, {"authorization", "bearer x"}} {
		askers = append(askers,
			asker{"a stranger with " + strings.Join(header, ": "), func(m, p, b string) *answer { return s.askAsStranger(t, m, p, b, header...) }},
			asker{"the peer with " + strings.Join(header, ": "), func(m, p, b string) *answer { return s.ask(t, m, p, b, header...) }})
	}
	for _, a := range askers {
		for _, path := range strangerMayRead {
			if got := a.ask("GET", strings.ReplaceAll(path, "SERIAL", serial), ""); got.Status != 200 {
				t.Errorf("%s: GET %s: %d %s, want 200", a.who, path, got.Status, got.Body)
			}
		}
		for _, c := range strangerMayNot {
			// A body that cannot be read: it must not be read.
			if got := a.ask(c[0], c[1], `{"broken`); got.Status != 403 || !got.says("p") {
				t.Errorf("%s: %s %s: %d %s, want 403", a.who, c[0], c[1], got.Status, got.Body)
			}
		}
	}
	if got := s.askAsStranger(t, "GET", "sys/internal/ui/mounts", ""); len(got.Data["secret"].(map[string]any)) != 0 {
		t.Errorf("a stranger sees mounts: %s", got.Body)
	}
	s.do(t, "POST", "sys/mounts/pki/tune", `{"listing_visibility":"unauth"}`)
	if got := s.askAsStranger(t, "GET", "sys/internal/ui/mounts", ""); len(got.Data["secret"].(map[string]any)) != 1 {
		t.Errorf("a mount that is listed for everybody: %s", got.Body)
	}
	// An empty token, and another scheme, are no token.
	for _, header := range [][]string{{"X-Vault-Token", ""}, {"Authorization", "Bearer "}, {"Authorization", "Basic dXNlcjpwYXNz"}} {
		if got := s.ask(t, "GET", "sys/mounts", "", header...); got.Status != 200 {
			t.Errorf("the peer with %q: %d", header, got.Status)
		}
	}
}

// TestPeerItself asks who the peer is, as clients do with their token.
func TestPeerItself(t *testing.T) {
	s := start(t)
	self := s.do(t, "GET", "auth/token/lookup-self", "").Data
	for field, want := range map[string]any{"id": "", "ttl": float64(0), "expire_time": nil, "renewable": false} {
		if got, ok := self[field]; !ok || got != want {
			t.Errorf("lookup-self: %s is %v, want %v", field, got, want)
		}
	}
	if path, _ := self["path"].(string); !strings.HasPrefix(path, "peer/") {
		t.Errorf("lookup-self: path is %q", path)
	}
	if got := s.ask(t, "POST", "auth/token/renew-self", ""); got.Status != 400 || !got.says("lease is not renewable") {
		t.Errorf("renew-self: %d %s", got.Status, got.Body)
	}
	may := s.do(t, "POST", "sys/capabilities-self", `{"paths":["pki/issue/web","sys/mounts"]}`).Data
	if len(may) != 2 || may["sys/mounts"].([]any)[0] != "root" {
		t.Errorf("capabilities-self: %v", may)
	}
}
