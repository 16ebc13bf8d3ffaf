package issuance_test

import (
	"sync"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

// TestConcurrent: one issuer, with name constraints, serves many at once; and
// of many who issue the same prepared certificate one succeeds.
func TestConcurrent(t *testing.T) {
	root := makeRoot(t, "P-256", func(r *issuance.CARequest) { r.NameConstraints.PermittedDNSDomains = []string{"example.com"} })
	issuer, err := issuance.NewIssuer(root, urls)
	if err != nil {
		t.Fatal(err)
	}
	shared, err := issuer.Prepare(leafRequest(), now)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	issued := 0
	for range 8 {
		all.Go(func() {
			for range 5 {
				prepared, err := issuer.Prepare(leafRequest(), now)
				if err != nil {
					t.Error(err)
					return
				}
				if _, _, err := issuer.Issue(prepared, signer("P-256")); err != nil {
					t.Error(err)
				}
			}
			if _, _, err := issuer.Issue(shared, signer("P-256")); err == nil {
				mu.Lock()
				issued++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if issued != 1 {
		t.Errorf("one prepared certificate was issued %d times", issued)
	}
}
