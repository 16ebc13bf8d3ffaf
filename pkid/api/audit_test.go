package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/auditlog"
	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/pending"
)

// audited are the lines of the audit log from an offset on, and the text.
func (s *server) audited(t *testing.T, from int) (lines []auditlog.Entry, text string) {
	t.Helper()
	raw, err := os.ReadFile(s.audit.Path)
	must(t, err)
	for line := range bytes.Lines(raw[from:]) {
		var e auditlog.Entry
		must(t, json.Unmarshal(line, &e))
		lines = append(lines, e)
	}
	return lines, string(raw[from:])
}

// during gives what a request left in the log: its two lines, and the text.
func (s *server) during(t *testing.T, request func()) (asked, answered auditlog.Entry, text string) {
	t.Helper()
	raw, err := os.ReadFile(s.audit.Path)
	must(t, err)
	request()
	lines, text := s.audited(t, len(raw))
	if len(lines) != 2 || lines[0].Type != "request" || lines[1].Type != "response" || lines[0].Request.ID != lines[1].Request.ID {
		t.Fatalf("not a request and its answer: %s", text)
	}
	return lines[0], lines[1], text
}

func (s *server) hides(t *testing.T, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if secret == "" || strings.Contains(text, secret) {
			t.Errorf("%q is in the log: %s", secret, text)
		}
	}
}

func TestAuditOfAnIssue(t *testing.T) {
	s := start(t)
	s.ca(t)
	var a *answer
	asked, answered, text := s.during(t, func() {
		a = s.do(t, "POST", "pki/issue/web", `{"common_name":"a.example.com","alt_names":"b.example.com","ttl":"1h","unknown":"s3cret"}`)
	})
	key, _ := a.Data["private_key"].(string)
	s.hides(t, text, strings.Split(key, "\n")[1], "PRIVATE KEY", "s3cret")
	if asked.Request.Data["common_name"] != "a.example.com" || asked.Request.Data["alt_names"] != "b.example.com" || asked.Request.Data["role"] != "web" ||
		asked.Request.Data["unknown"] != s.audit.Hash("s3cret") || asked.Request.MountPoint != "pki/" || asked.Request.MountType != "pki" {
		t.Errorf("request: %+v", asked.Request)
	}
	if asked.Auth.Policies[0] != "root" || !strings.Contains(asked.Request.Peer, fmt.Sprint(os.Getuid())) || asked.Request.Operation != "update" || asked.Response != nil {
		t.Errorf("caller: %s", text)
	}
	if d := answered.Response.Data; d["serial_number"] != a.Data["serial_number"] || d["certificate"] != a.Data["certificate"] || d["private_key"] != s.audit.Hash(key) {
		t.Errorf("answer: %v", d)
	}

	bundle := s.do(t, "POST", "pki/issue/web", `{"common_name":"a.example.com","format":"pem_bundle"}`)
	_, text = s.audited(t, 0)
	if !strings.Contains(bundle.Body, "PRIVATE KEY") {
		t.Fatal("the bundle has no key")
	}
	s.hides(t, text, "PRIVATE KEY")

	_, answered, _ = s.during(t, func() { s.do(t, "LIST", "pki/certs", "") })
	if answered.Response.Data["keys"] != 3.0 {
		t.Errorf("a list: %v", answered.Response.Data)
	}
	_, answered, _ = s.during(t, func() { s.ask(t, "POST", "pki/issue/web", `{"common_name":"a.other.com"}`) })
	if !strings.Contains(answered.Error, "a.other.com") || answered.Response.Status != 400 {
		t.Errorf("a refusal: %+v", answered)
	}
}

func TestAuditHidesSecrets(t *testing.T) {
	s := serve(t, noHSM)
	_, _, text := s.during(t, func() {
		s.ask(t, "POST", "sys/managed-keys/pkcs11/k", `{"library":"softhsm","pin":"98764321","key_label":"lab","mechanism":"0x1041"}`)
	})
	s.hides(t, text, "98764321")
	if !strings.Contains(text, `"key_label":"lab"`) {
		t.Errorf("the key's label: %s", text)
	}
	_, _, text = s.during(t, func() { s.ask(t, "POST", "sys/managed-keys/pkcs11/k", `{"pin":98764321}`) })
	s.hides(t, text, "98764321")

	var id, accessor string
	_, answered, text := s.during(t, func() { id, accessor = s.made(t, `{"policies":["dev"],"meta":{"owner":"somebody"}}`) })
	s.hides(t, text, id, accessor, "somebody")
	if answered.Response.Auth.ClientToken != s.audit.Hash(id) || answered.Response.Auth.Accessor != s.audit.Hash(accessor) || answered.Response.Auth.TokenPolicies[1] != "dev" {
		t.Errorf("%s", text)
	}
	asked, _, text := s.during(t, func() { s.with(t, id, "GET", "auth/token/lookup-self", "") })
	s.hides(t, text, id, accessor)
	if asked.Auth.ClientToken != s.audit.Hash(id) || asked.Auth.Accessor != s.audit.Hash(accessor) || asked.Request.RemoteAddress != "127.0.0.1" || asked.Request.RemotePort == 0 {
		t.Errorf("%s", text)
	}
	_, _, text = s.during(t, func() { s.do(t, "POST", "auth/token/revoke", fmt.Sprintf(`{"token":%q}`, id)) })
	s.hides(t, text, id)

	role, secret := s.approle(t, "approle", "r", `{}`)
	var l login
	_, answered, _ = s.during(t, func() { l = s.askAsStranger(t, "POST", "auth/approle/login", credentials(role, secret)).login(t) })
	if answered.Response.Auth.ClientToken != s.audit.Hash(l.Auth.ClientToken) {
		t.Errorf("a login: %+v", answered.Response)
	}
	_, all := s.audited(t, 0)
	s.hides(t, all, role, secret, l.Auth.ClientToken)

	hash := s.do(t, "POST", "sys/audit-hash/file", `{"input":"`+id+`"}`).Data["hash"]
	if hash != s.audit.Hash(id) {
		t.Errorf("sys/audit-hash: %v", hash)
	}
	if a := s.do(t, "GET", "sys/audit", ""); a.Data["file/"] == nil {
		t.Errorf("sys/audit: %s", a.Body)
	}
	if a := s.ask(t, "POST", "sys/audit/other", `{"type":"file"}`); a.Status != 400 || !a.says("audit_log") {
		t.Errorf("sys/audit/other: %d %s", a.Status, a.Body)
	}
}

// TestAuditOfWhatIsRefused: whatever is turned away is in the log too, in lines
// of their own, and nothing that anybody may read is.
func TestAuditOfWhatIsRefused(t *testing.T) {
	s := serve(t, noHSM)
	s.do(t, "POST", "sys/mounts/pki", `{"type":"pki"}`)
	for name, c := range map[string]struct {
		ask    func() *answer
		path   string
		status int
	}{
		"a stranger": {func() *answer { return s.askAsStranger(t, "POST", "pki/issue/web", `{"common_name":"x"}`) }, "pki/issue/web", 403},
		"no token":   {func() *answer { return s.with(t, "hvs.no", "POST", "pki/issue/web", `{}`) }, "pki/issue/web", 403},
		"two tokens": {func() *answer {
			return s.ask(t, "GET", "sys/mounts", "", "X-Vault-Token", "a1234", "Authorization", "Bearer b1234")
		}, "sys/mounts", 400},
		"malformed":     {func() *answer { return s.ask(t, "POST", "sys/mounts/x", `{"type":`) }, "sys/mounts/x", 400},
		"twice":         {func() *answer { return s.ask(t, "POST", "sys/mounts/x", `{"type":"pki","type":"kv"}`) }, "sys/mounts/x", 400},
		"a trick":       {func() *answer { return s.ask(t, "GET", "pki%2fissue", "") }, "/v1/pki/issue", 400},
		"control":       {func() *answer { return s.ask(t, "GET", "pki%0a%7b%7d", "") }, "/v1/pki\n{}", 400},
		"no such route": {func() *answer { return s.ask(t, "GET", "none/at/all", "") }, "none/at/all", 404},
		"a verb":        {func() *answer { return s.ask(t, "TRACE", "sys/mounts", "") }, "sys/mounts", 405},
	} {
		var a *answer
		asked, answered, text := s.during(t, func() { a = c.ask() })
		if a.Status != c.status || answered.Response.Status != c.status || asked.Request.Path != c.path || answered.Error == "" || asked.Auth.PolicyResults.Allowed {
			t.Errorf("%s: %d %s", name, a.Status, text)
		}
		s.hides(t, text, "hvs.no", "a1234")
	}
	before, _ := s.audited(t, 0)
	for _, path := range []string{"pki/ca", "pki/crl", "pki/cert/00:11", "pki/ocsp/AAAA", "sys/health", "sys/seal-status", "pki/issuers?list=true"} {
		s.askAsStranger(t, "GET", path, "")
	}
	if after, text := s.audited(t, 0); len(after) != len(before) {
		t.Errorf("public reads are in the log: %s", text)
	}
}

// TestNothingIsDoneUnrecorded: without the log a request is refused before it is
// acted on; what anybody may read is served.
func TestNothingIsDoneUnrecorded(t *testing.T) {
	s := serve(t, noHSM)
	must(t, s.audit.Close())
	for _, path := range []string{"sys/policies/acl/p", "auth/token/create", "sys/mounts/pki"} {
		if a := s.ask(t, "POST", path, `{"policy":"","type":"pki"}`); a.Status != 500 || !a.says("the audit log cannot be written") {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if a := s.askAsStranger(t, "POST", "sys/policies/acl/p", `{}`); a.Status != 500 || a.says("permission") {
		t.Errorf("a stranger: %d %s", a.Status, a.Body)
	}
	if a := s.askAsStranger(t, "GET", "sys/seal-status", ""); a.Status != 200 {
		t.Errorf("public: %d %s", a.Status, a.Body)
	}
}

func TestAuditHidesWhatIsWrapped(t *testing.T) {
	s := serve(t, noHSM)
	_, _, text := s.during(t, func() {
		s.ask(t, "POST", "sys/wrapping/wrap", `{"description":"s3cret-1","config":{"password":"s3cret-2"},"rules":["s3cret-3"]}`, "X-Vault-Wrap-TTL", "60")
	})
	s.hides(t, text, "s3cret-1", "s3cret-2", "s3cret-3")
}

// What is issued when it was approved is as readable as what is issued at once.
func TestAuditOfWhatWasApproved(t *testing.T) {
	s := start(t)
	s.ca(t)
	draw, err := ca.NewDraw(time.Now())
	must(t, err)
	must(t, s.handler.Pending.Put(t.Context(), &pending.Request{
		ID: "0123", Path: "pki/sign-verbatim", Params: []byte(`{"ttl":"1h","csr":` + csr + `}`), Requester: "root", RequestID: "x",
		Until: time.Now().Add(time.Hour), Now: draw.Now, Serial: draw.Serial.Bytes(), New: draw.New,
	}))
	var a *answer
	_, answered, _ := s.during(t, func() { a = s.do(t, "GET", "sys/approvals/0123", "") })
	if d := answered.Response.Data; d["serial_number"] == nil || d["serial_number"] != a.Data["serial_number"] || d["certificate"] != a.Data["certificate"] {
		t.Errorf("answer: %v", d)
	}
}
