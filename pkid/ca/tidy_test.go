package ca_test

import (
	"crypto/x509"
	"slices"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/ca"
)

// TestDropExpiredIssuers: one that is dropped is in no manual chain any more.
func TestDropExpiredIssuers(t *testing.T) {
	a := alone(t)
	expired := selfSigned(t, 1, func(c *x509.Certificate) { c.NotAfter = now.AddDate(-2, 0, 0) })
	made, err := a.Import(t.Context(), &ca.ImportRequest{PEM: expired + selfSigned(t, 2, nil)})
	must(t, err)
	old, left := made.Issuers[0], made.Issuers[1]
	_, _, err = a.ChangeIssuer(t.Context(), left, &ca.IssuerChange{ManualChain: &[]string{"self", old}})
	must(t, err)

	if n, err := a.DropExpiredIssuers(t.Context(), now.AddDate(-1, 0, 0)); n != 1 || err != nil {
		t.Fatalf("%d issuers were dropped (%v), want 1", n, err)
	}
	if all, _ := a.Issuers(); len(all) != 1 || all[0].ID != left || !slices.Equal(all[0].ManualChain, []string{left}) {
		t.Errorf("left are %d issuers; the first with the manual chain %v, want %v", len(all), all[0].ManualChain, left)
	}
}
