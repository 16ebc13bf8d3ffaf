package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// wrapInfo takes the wrap_info out of an answer that has nothing else.
func wrapInfo(t *testing.T, a *answer) (info struct{ Token, Accessor, CreationPath, WrappedAccessor string }) {
	t.Helper()
	var whole struct {
		Data, Auth any
		WrapInfo   struct {
			Token, Accessor string
			TTL             int
			CreationPath    string `json:"creation_path"`
			WrappedAccessor string `json:"wrapped_accessor"`
		} `json:"wrap_info"`
	}
	must(t, json.Unmarshal([]byte(a.Body), &whole))
	if whole.Data != nil || whole.Auth != nil || whole.WrapInfo.Token == "" || whole.WrapInfo.TTL != 60 {
		t.Fatalf("not wrapped: %d %s", a.Status, a.Body)
	}
	info.Token, info.Accessor, info.CreationPath, info.WrappedAccessor = whole.WrapInfo.Token, whole.WrapInfo.Accessor, whole.WrapInfo.CreationPath, whole.WrapInfo.WrappedAccessor
	return info
}

func TestWrapping(t *testing.T) {
	s := start(t)
	s.ca(t)
	issue := func(headers ...string) *answer {
		return s.ask(t, "POST", "pki/issue/web", `{"common_name":"a.example.com","ttl":"1h"}`, headers...)
	}
	info := wrapInfo(t, issue("X-Vault-Wrap-TTL", "60"))
	if info.CreationPath != "pki/issue/web" {
		t.Errorf("made by %q", info.CreationPath)
	}
	// A stranger over TCP who has the token may look, and read it, once.
	if a := s.askAsStranger(t, "POST", "sys/wrapping/lookup", `{"token":"`+info.Token+`"}`); a.Status != 200 || a.Data["creation_path"] != "pki/issue/web" || strings.Contains(a.Body, info.Token) {
		t.Errorf("lookup: %d %s", a.Status, a.Body)
	}
	if a := s.askAsStranger(t, "PUT", "sys/wrapping/unwrap", `null`, "X-Vault-Token", info.Token); a.Status != 200 || !strings.Contains(a.Body, "PRIVATE KEY") || a.Data["serial_number"] == nil {
		t.Errorf("unwrap: %d %s", a.Status, a.Body)
	}
	for range 2 {
		if a := s.ask(t, "POST", "sys/wrapping/unwrap", `{"token":"`+info.Token+`"}`); a.Status != 400 || !a.says("wrapping token is not valid or does not exist") {
			t.Errorf("again: %d %s", a.Status, a.Body)
		}
	}

	// Under another token.
	info = wrapInfo(t, issue("X-Vault-Wrap-TTL", "1m"))
	next := wrapInfo(t, s.ask(t, "POST", "sys/wrapping/rewrap", `{"token":"`+info.Token+`"}`))
	if a := s.ask(t, "POST", "sys/wrapping/unwrap", `{"token":"`+info.Token+`"}`); a.Status != 400 {
		t.Errorf("the first token, after a rewrap: %d", a.Status)
	}
	if a := s.ask(t, "POST", "sys/wrapping/unwrap", `{"token":"`+next.Token+`"}`); a.Status != 200 || !strings.Contains(a.Body, "PRIVATE KEY") {
		t.Errorf("the second: %d", a.Status)
	}

	// A token in a wrapping.
	made := wrapInfo(t, s.ask(t, "POST", "auth/token/create", `{"policies":["default"],"ttl":"1h"}`, "X-Vault-Wrap-TTL", "60s"))
	if made.WrappedAccessor == "" {
		t.Error("the accessor of the token inside is not told")
	}
	if a := s.ask(t, "POST", "sys/wrapping/unwrap", `{"token":"`+made.Token+`"}`); !strings.Contains(a.Body, `"client_token":"hvs.`) {
		t.Errorf("the token: %s", a.Body)
	}

	// What is sent.
	info = wrapInfo(t, s.ask(t, "POST", "sys/wrapping/wrap", `{"a":"b"}`, "X-Vault-Wrap-TTL", "60"))
	if a := s.ask(t, "POST", "sys/wrapping/unwrap", `{"token":"`+info.Token+`"}`); a.Data["a"] != "b" || len(a.Data) != 1 {
		t.Errorf("what was sent: %v", a.Data)
	}
	if a := s.ask(t, "POST", "sys/wrapping/wrap", `{"a":"b"}`); a.Status != 400 || !a.says("requires response wrapping") {
		t.Errorf("without a time: %d", a.Status)
	}

	for _, c := range [][2]string{{"-1", "X-Vault-Wrap-TTL"}, {"10000h", "at most"}, {"soon", "X-Vault-Wrap-TTL"}, {"10ms", "X-Vault-Wrap-TTL"}} {
		if a := issue("X-Vault-Wrap-TTL", c[0]); a.Status != 400 || !a.says(c[1]) {
			t.Errorf("%s: %d %s", c[0], a.Status, a.Body)
		}
	}
	if a := s.askAsStranger(t, "LIST", "pki/issuers", "", "X-Vault-Wrap-TTL", "60"); a.Status != 400 {
		t.Errorf("a stranger fills the store: %d", a.Status)
	}
	if a := s.askAsStranger(t, "POST", "sys/wrapping/wrap", `{"a":"b"}`, "X-Vault-Wrap-TTL", "60"); a.Status != 403 {
		t.Errorf("a stranger wraps: %d", a.Status)
	}
	if a := issue("X-Vault-Wrap-TTL", "0"); a.Status != 200 || a.Data["private_key"] == nil {
		t.Errorf("0: %d", a.Status)
	}
}

// TestWrappingByPolicy: a policy can ask for a wrapping, and bound its time.
func TestWrappingByPolicy(t *testing.T) {
	s := start(t)
	s.ca(t)
	s.do(t, "PUT", "sys/policies/acl/wrapped", `{"policy":"path \"pki/issue/web\" { capabilities = [\"update\"]\n min_wrapping_ttl = \"30s\"\n max_wrapping_ttl = \"90s\" }"}`)
	s.become(t, "wrapped")
	for ttl, want := range map[string]int{"": 403, "10": 403, "60": 200, "91": 403} {
		headers := []string{"X-Vault-Wrap-TTL", ttl}
		if a := s.ask(t, "POST", "pki/issue/web", `{"common_name":"a.example.com","ttl":"1h"}`, headers...); a.Status != want {
			t.Errorf("%q: %d %s", ttl, a.Status, a.Body)
		}
	}
}

func TestUnwrapIsNotWrapped(t *testing.T) {
	s := serve(t, noHSM)
	info := wrapInfo(t, s.ask(t, "POST", "sys/wrapping/wrap", `{"a":"b"}`, "X-Vault-Wrap-TTL", "60"))
	token := `{"token":"` + info.Token + `"}`
	if a := s.ask(t, "POST", "sys/wrapping/unwrap", token, "X-Vault-Wrap-TTL", "60"); a.Status != 400 || !a.says("sys/wrapping/rewrap") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := s.ask(t, "POST", "sys/wrapping/unwrap", token); a.Data["a"] != "b" {
		t.Errorf("what was kept is lost: %d %s", a.Status, a.Body)
	}
}

// TestWrapTTLOnce: who is not sure whether the answer is wrapped gets none. The
// header may be there twice with the same words.
func TestWrapTTLOnce(t *testing.T) {
	s := serve(t, "/nowhere/hsmd.sock")
	s.do(t, "POST", "sys/mounts/pki", `{"type":"pki"}`)
	for _, c := range []struct {
		sent   []string
		status int
		wraps  bool
	}{
		{nil, 200, false},
		{[]string{""}, 200, false},
		{[]string{"60"}, 200, true},
		{[]string{"60", "60"}, 200, true},
		{[]string{"", ""}, 200, false},
		{[]string{"", "60"}, 400, false},
		{[]string{"60", ""}, 400, false},
		{[]string{"60", "30", "60"}, 400, false},
		{[]string{"60, 60"}, 400, false},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://pkid/v1/sys/mounts/pki", nil)
		must(t, err)
		req.Header["X-Vault-Wrap-Ttl"] = c.sent
		resp, err := s.peer.Do(req)
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		resp.Body.Close()
		if wraps := strings.Contains(string(body), `"creation_path"`); resp.StatusCode != c.status || wraps != c.wraps {
			t.Errorf("%q: %d, wrapped %v; want %d, %v: %s", c.sent, resp.StatusCode, wraps, c.status, c.wraps, body)
		}
	}
}
