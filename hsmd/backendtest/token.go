package backendtest

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/wire"
)

// showsTheToken: the status names token and keys, without the padding that each
// maker has another of.
func showsTheToken(t *testing.T, b *Backend) {
	b.made(t, b.plainKey("shown"))
	status, err := b.Service.Status(t.Context(), &wire.StatusRequest{})
	if err != nil || len(status.Libraries) != 1 {
		t.Fatalf("status: %+v, %v", status, err)
	}
	for _, token := range status.Libraries[0].Tokens {
		if token.Label != b.Key.TokenLabel {
			continue
		}
		if !token.LoggedIn || !slices.Contains(token.Keys, "shown") {
			t.Errorf("the status shows %+v", token)
		}
		for _, field := range []string{token.Label, token.Serial, token.Model} {
			if field == "" || field != strings.Trim(field, " \x00") {
				t.Errorf("%q is empty or has padding", field)
			}
		}
		return
	}
	t.Errorf("the status shows no token %q: %+v", b.Key.TokenLabel, status.Libraries[0].Tokens)
}

// keysOutliveTheProcess: another process finds the key that was made, and signs
// with it, while the first goes on.
func keysOutliveTheProcess(t *testing.T, b *Backend) {
	if b.Again == nil {
		return
	}
	d := b.plainKey("key")
	public := b.made(t, d)
	next := *b
	next.Service = b.Again(t)
	next.configure(t, d)
	if info := next.find(t, "key"); info.Fault != nil || !bytes.Equal(info.PublicKey, public.spki) {
		t.Fatalf("another process finds %x, fault %+v", info.PublicKey, info.Fault)
	}
	for _, b := range []*Backend{&next, b} {
		if _, err := b.sign(t, "key", public, b.plainScheme()); err != nil {
			t.Error(err)
		}
	}
}
