package api_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestCapabilitiesBounded: whoever has the default policy may ask, and what he asks
// is compared with each rule.
func TestCapabilitiesBounded(t *testing.T) {
	s := serve(t, "/nowhere/hsmd.sock")
	ask := func(field string, paths ...string) *answer {
		t.Helper()
		body, err := json.Marshal(map[string]any{field: paths})
		must(t, err)
		return s.ask(t, "POST", "sys/capabilities-self", string(body))
	}
	many := make([]string, 501)
	for i := range many {
		many[i] = "pki/issue/web"
	}
	if a := ask("paths", many[1:]...); a.Status != 200 {
		t.Errorf("500 paths: %d %s", a.Status, a.Body)
	}
	for _, field := range []string{"paths", "path"} {
		if a := ask(field, many...); a.Status != 400 || !a.says("501 paths; 500 are possible") {
			t.Errorf("501 of %s: %d %s", field, a.Status, a.Body)
		}
	}
	if a := ask("paths", strings.Repeat("x", 4097)); a.Status != 400 || !a.says("4096 octets") {
		t.Errorf("a long path: %d %s", a.Status, a.Body[:min(len(a.Body), 200)])
	}
}
