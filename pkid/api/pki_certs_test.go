package api_test

import "testing"

// TestFindByRole: a role's certificates are found by its name, in whatever case
// it was written when they were asked for.
func TestFindByRole(t *testing.T) {
	s := start(t)
	s.ca(t)
	s.do(t, "POST", "pki/issue/web", `{"common_name":"a.example.com"}`)
	s.do(t, "POST", "pki/issue/WEB", `{"common_name":"b.example.com"}`)
	for _, role := range []string{"web", "Web"} {
		found := s.do(t, "LIST", "pki/certs/detailed?role="+role, "")
		if keys := found.Data["keys"].([]any); len(keys) != 2 {
			t.Errorf("%d certificates of the role %q, want 2", len(keys), role)
		}
		for _, info := range found.Data["key_info"].(map[string]any) {
			if got := info.(map[string]any)["role"]; got != "web" {
				t.Errorf("issued under the role %q, want web", got)
			}
		}
	}
}
