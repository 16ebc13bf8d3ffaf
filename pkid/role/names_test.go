package role_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var now = observedAt

// terms are a mount's with nothing set, and an issuer that lasts.
func terms(t testing.TB) *role.Terms {
	return &role.Terms{Now: now, DefaultTTL: 768 * time.Hour, MaxTTL: 768 * time.Hour, Issuer: observedIssuer(t).Certificate()}
}

// parseRole makes a role of "name=value" words.
func parseRole(t testing.TB, words []string) *role.Role {
	t.Helper()
	values := map[string]any{}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		values[name] = value
	}
	r, _, err := role.FromParams(vaultapi.NewParams(values))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestNames reads testdata/names.txt.
func TestNames(t *testing.T) {
	f, err := os.Open("testdata/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r *role.Role
	rules, lines := "", 0
	s := bufio.NewScanner(f)
	for number := 1; s.Scan(); number++ {
		text := strings.TrimSpace(s.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		words := strings.Fields(text)
		if words[0] == "role" {
			rules = strings.Join(words[1:], " ")
			r = parseRole(t, append([]string{"allow_localhost=false"}, words[1:]...))
			continue
		}
		name := strings.Trim(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text[len(words[0]):]), words[1])), `"`)
		lines++
		if got := asCommonName(t, r, name); got != words[0] {
			t.Errorf("names.txt:%d: under %q the common name %q: %s, want %s", number, rules, name, got, words[0])
		}
		if got := asAlternative(t, r, name); got != words[1] {
			t.Errorf("names.txt:%d: under %q the alternative name %q: %s, want %s", number, rules, name, got, words[1])
		}
	}
	if lines < 90 {
		t.Errorf("only %d names", lines)
	}
}

func asCommonName(t *testing.T, r *role.Role, name string) string {
	t.Helper()
	_, _, err := r.Request(&role.Wish{CommonName: name, ExcludeCNFromSANs: true}, nil, terms(t))
	return verdict(t, err, fmt.Sprintf("common name %s not allowed by this role", name))
}

// asAlternative asks by a CSR's alternative names, which are taken as they are;
// those of a wish are dropped when they are no names at all.
func asAlternative(t *testing.T, r *role.Role, name string) string {
	t.Helper()
	free := *r
	free.RequireCN, free.KeyType, free.KeyBits = false, role.KeyAny, 0
	csr := csrWithNames(t, name)
	_, _, err := free.Request(&role.Wish{}, csr, terms(t))
	if strings.Contains(name, "@") {
		return verdict(t, err, fmt.Sprintf("email address %s not allowed by this role", name))
	}
	return verdict(t, err, fmt.Sprintf("subject alternate name %s not allowed by this role", name))
}

func verdict(t *testing.T, err error, refusal string) string {
	t.Helper()
	switch {
	case err == nil:
		return "yes"
	case err.Error() == refusal:
		return "no"
	}
	t.Errorf("got the error %q, want none or %q", err, refusal)
	return "?"
}
