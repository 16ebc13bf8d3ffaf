package test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/check"
)

// attackerPolicy lets its token issue under one role with short lives, and sign
// under all roles but one. Whatever else the attacker gets, he got too much.
const attackerPolicy = `
path "pki/issue/web" {
  capabilities      = ["update"]
  denied_parameters = { ttl = [], not_after = [] }
}
path "pki/sign/+" {
  capabilities = ["update"]
}
path "pki/sign/admin" {
  capabilities = ["deny"]
}
path "auth/token/create" {
  capabilities = ["update"]
}`

// attacks are requests of a token with that policy: method, path as it goes over
// the wire, body. All are refused, and none changes anything.
var attacks = [][3]string{
	// Other paths than the policy's, in all ways to write them.
	{"POST", "pki/issue/admin"}, {"POST", "pki/issue/Web/../admin"}, {"POST", "pki/issue/web/../admin"}, {"POST", "pki/issue/./admin"}, {"POST", "pki//issue//admin"},
	{"POST", "pki/issue/web/../../roles/web"}, {"POST", "pki/issue%2fweb"}, {"POST", "pki%2Fissue/web"}, {"POST", "pki/issue/web%2f..%2fadmin"}, {"POST", "pki/issue/%2e%2e/roles/web"},
	{"POST", "pki/issue/web%252f..%252fadmin"}, {"POST", "pki/issue/web%00"}, {"POST", "pki/issue/web%0aadmin"}, {"POST", "pki/issue/web;admin"}, {"POST", `pki\issue\admin`},
	{"POST", "pki/issue/web%5c..%5cadmin"}, {"POST", "PKI/issue/web"}, {"POST", "pki/ISSUE/web"}, {"POST", "pki/issue/web/admin"}, {"POST", "pki/issue/"}, {"POST", "pki/issue"},
	{"POST", "/pki/issuer/default/issue/web"}, {"POST", "pki/issuer/default/sign/web"}, {"POST", "pki/sign-verbatim/web"}, {"POST", "pki/sign-verbatim"}, {"POST", "pki/roles/web"},
	{"POST", "pki/sign/admin"}, {"POST", "pki/sign/Admin"}, {"POST", "pki/sign/ADMIN/"}, {"POST", "pki/sign//admin"}, {"POST", "pki/sign/web/admin"}, {"POST", "pki/sign/%61dmin"},
	// Other verbs.
	{"GET", "pki/issue/web"}, {"DELETE", "pki/issue/web"}, {"LIST", "pki/issue/web"}, {"PATCH", "pki/issue/web"}, {"OPTIONS", "pki/roles/web"}, {"GET", "pki/roles?list=true"},
	{"LIST", "pki/roles"}, {"HEAD", "pki/roles/web"}, {"PATCH", "pki/roles/web"}, {"DELETE", "pki/root"}, {"POST", "pki/roles/web?_method=GET"},
	// Parameters that are denied, and in twice.
	{"POST", "pki/issue/web", `{"common_name":"a.example.com","ttl":"1h"}`}, {"POST", "pki/issue/web", `{"common_name":"a.example.com","TTL":"1h"}`},
	{"POST", "pki/issue/web", `{"common_name":"a.example.com","not_after":"2099-01-01T00:00:00Z"}`}, {"POST", "pki/issue/web", `common_name=a.example.com&ttl=1h`},
	{"POST", "pki/issue/web", `{"common_name":"a.example.com","common_name":"b.example.com"}`}, {"POST", "pki/issue/web", `{"common_name":"a.example.com"}{"ttl":"1h"}`},
	{"POST", "pki/issue/web", `{"common_name":"a.example.com","t\u0074l":"1h"}`},
	// More rights.
	{"PUT", "sys/policies/acl/attacker", `{"policy":"path \"*\" { policy = \"sudo\" }"}`}, {"PUT", "sys/policy/default", `{"policy":"path \"*\" { policy = \"sudo\" }"}`}, {"GET", "sys/policies/acl/attacker"},
	{"DELETE", "sys/policies/acl/attacker"}, {"POST", "auth/token/create", `{"policies":["root"]}`}, {"POST", "auth/token/create", `{"policies":["ROOT"]}`},
	{"POST", "auth/token/create", `{"policies":["attacker","admin"]}`}, {"POST", "auth/token/create", `{"policies":"attacker,root"}`}, {"POST", "auth/token/create", `{"policies":["attacker\nroot"]}`},
	{"POST", "auth/token/create", `{"no_parent":true}`}, {"POST", "auth/token/create", `{"period":"1h"}`}, {"POST", "auth/token/create", `{"id":"known-to-others"}`},
	{"POST", "auth/token/create-orphan", `{}`}, {"POST", "auth/token/create/any", `{}`}, {"POST", "auth/token/roles/any", `{"allowed_policies":"root"}`}, {"LIST", "auth/token/accessors"},
	{"POST", "auth/token/lookup", `{}`}, {"POST", "auth/token/renew", `{}`}, {"POST", "auth/token/revoke-orphan", `{}`}, {"POST", "auth/token/tidy"}, {"POST", "sys/capabilities", `{"token":"x","paths":"y"}`},
	{"POST", "sys/leases/revoke-prefix/auth"}, {"POST", "sys/auth/own", `{"type":"approle"}`}, {"DELETE", "sys/auth/token"}, {"GET", "sys/auth"},
	// The keys, the mounts, the state.
	{"POST", "sys/managed-keys/pkcs11/own", `{"library":"softhsm"}`}, {"LIST", "sys/managed-keys/pkcs11"}, {"POST", "sys/managed-keys/pkcs11/ca/test/sign"}, {"GET", "sys/hsm/status"},
	{"POST", "sys/mounts/own", `{"type":"pki"}`}, {"DELETE", "sys/mounts/pki"}, {"POST", "sys/mounts/pki/tune", `{"allowed_managed_keys":"*"}`}, {"POST", "sys/remount", `{"from":"pki","to":"x"}`},
	{"GET", "sys/mounts"}, {"GET", "sys/storage/snapshot"}, {"POST", "pki/root/generate/internal", `{"common_name":"x"}`}, {"POST", "pki/root/sign-intermediate", `{}`},
	{"POST", "pki/config/urls", `{}`}, {"POST", "pki/revoke", `{"serial_number":"00"}`}, {"GET", "pki/certs/detailed"}, {"POST", "pki/tidy"},
}

// TestAttacks sends them over TCP with the token of the policy, as they are on
// the wire.
func TestAttacks(t *testing.T) {
	p, url := onTCP(t)
	ca(t, p)
	p.PKID.Must(t, "POST", "pki/roles/admin", map[string]any{"allow_any_name": true, "key_type": "ec"})
	p.PKID.Must(t, "PUT", "sys/policies/acl/attacker", map[string]any{"policy": attackerPolicy})
	s, err := vaultClient(t, p.PKID).Logical().Write("auth/token/create", map[string]any{"policies": "attacker"})
	sound(t, err)
	id := s.Auth.ClientToken
	if _, err := overTCP(t, url, id).Logical().Write("pki/issue/web", map[string]any{"common_name": "a.example.com"}); err != nil {
		t.Fatalf("what the policy gives: %v", err)
	}

	seen := func() (all []any) {
		for _, c := range [][2]string{{"LIST", "pki/certs"}, {"LIST", "pki/roles"}, {"GET", "sys/mounts"}, {"LIST", "sys/policies/acl"}, {"GET", "sys/policies/acl/attacker"},
			{"GET", "sys/auth"}, {"LIST", "auth/token/accessors"}, {"GET", "pki/config/issuers"}, {"GET", "pki/roles/web"}} {
			all = append(all, p.PKID.Must(t, c[0], c[1], nil).Data)
		}
		return all
	}
	before := seen()
	for _, a := range attacks {
		for _, header := range []string{"", "X-HTTP-Method-Override: GET\r\n", "X-Original-URL: /v1/sys/health\r\nX-Rewrite-URL: /v1/sys/health\r\n", "X-Forwarded-For: 127.0.0.1\r\n"} {
			if status, body := raw(t, strings.TrimPrefix(url, "http://"), id, a, header); status < 400 || status >= 500 {
				t.Errorf("%s %s %s (%s): %d %s", a[0], a[1], a[2], strings.TrimSpace(header), status, body)
			}
		}
	}
	if after := seen(); !reflect.DeepEqual(before, after) {
		t.Errorf("something changed:\n%v\nand now\n%v", before, after)
	}
	check.CA(t, p, id)
}

// raw sends a request as it is written, which no client of HTTP would.
func raw(t *testing.T, address, id string, a [3]string, header string) (status int, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	sound(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "%s /v1/%s HTTP/1.1\r\nHost: pkid\r\nX-Vault-Token: %s\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s", a[0], a[1], id, header, len(a[2]), a[2])
	sound(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: a[0]})
	if err != nil {
		t.Fatalf("%s %s: %v", a[0], a[1], err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	sound(t, err)
	return resp.StatusCode, string(text)
}
