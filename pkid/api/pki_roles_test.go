package api_test

import (
	"fmt"
	"sync"
	"testing"
)

// TestPatchesTogether: of several patches of one role at the same time each
// leaves what it does not name as the others made it.
func TestPatchesTogether(t *testing.T) {
	s := start(t)
	s.ca(t)
	fields := []string{"allow_ip_sans", "allow_localhost", "allow_wildcard_certificates", "client_flag", "code_signing_flag", "email_protection_flag", "server_flag", "use_csr_sans"}
	before := s.do(t, "GET", "pki/roles/web", "").Data
	var patches sync.WaitGroup
	for _, field := range fields {
		patches.Go(func() {
			a := s.ask(t, "PATCH", "pki/roles/web", fmt.Sprintf(`{%q:%t}`, field, !before[field].(bool)), "Content-Type", "application/merge-patch+json")
			if a.Status != 200 {
				t.Errorf("%s: %d %s", field, a.Status, a.Body)
			}
		})
	}
	patches.Wait()
	after := s.do(t, "GET", "pki/roles/web", "").Data
	for _, field := range fields {
		if after[field] == before[field] {
			t.Errorf("%s is %v still", field, after[field])
		}
	}
}
