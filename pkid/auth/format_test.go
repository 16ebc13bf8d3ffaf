package auth_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/auth"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// changing is what is another each time: UUIDs, octets of hashes and times.
var changing = []struct{ pattern, word string }{
	{`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "UUID"},
	{`auth_approle_[0-9a-f]{8}`, "ACCESSOR"},
	{`\d{4}-\d\d-\d\dT[0-9:.]+Z`, "TIME"},
	{`(secretid/UUID/)(?s:.{32})`, "${1}HASH"},
	{`(expiry/)(?s:.{8})UUID(?s:.{32})`, "${1}TIME UUID HASH"},
	{`(accessor/UUID/UUID = )(?s:.{32})`, "${1}HASH"},
}

// TestFormat has each kind of record as it is stored: what a later version has to
// read.
func TestFormat(t *testing.T) {
	p := open(t, vfs.NewMem())
	defer p.close(t)
	must(t, p.table.Enable(t.Context(), auth.Spec{Path: "ci/approle", Type: "approle", Description: "for CI", Config: auth.Config{MaxLeaseTTL: time.Hour}}))
	m := p.table.Get("ci/approle").AppRole
	must(t, m.WriteRole(t.Context(), "web", vaultapi.NewParams(map[string]any{"role_id": "web", "secret_id_ttl": "1h", "secret_id_num_uses": 2,
		"secret_id_bound_cidrs": "10.0.0.0/8", "token_policies": "web", "token_ttl": "5m"}), false))
	_, err := m.MakeSecretID(t.Context(), "web", "", vaultapi.NewParams(map[string]any{"metadata": `{"host":"a"}`, "cidr_list": "10.1.0.0/16"}))
	must(t, err)
	var lines []string
	must(t, p.state.View(t.Context(), func(r store.Reader) error {
		return r.Scan([]byte("auth"), []byte("auti"), func(key, value []byte) error {
			line := make([]rune, 0, len(key)+len(value)+3) // octets as characters, so that a pattern counts them
			for _, b := range []byte(string(key) + " = " + string(value)) {
				line = append(line, rune(b))
			}
			text := string(line)
			for _, c := range changing {
				text = regexp.MustCompile(c.pattern).ReplaceAllString(text, c.word)
			}
			lines = append(lines, text)
			return nil
		})
	}))
	want := []string{
		`auth/UUID/accessor/UUID/UUID = HASH`,
		`auth/UUID/expiry/TIME UUID HASH = `,
		`auth/UUID/role/web = {"id":"UUID","name":"web","role_id":"web","bind_secret_id":true,"secret_id_bound_cidrs":["10.0.0.0/8"],"secret_id_num_uses":2,` +
			`"secret_id_ttl":3600000000000,"token":{"token_policies":["web"],"token_ttl":300000000000}}`,
		`auth/UUID/roleid/web = web`,
		`auth/UUID/secretid/UUID/HASH = {"accessor":"UUID","created":"TIME","updated":"TIME","expires":"TIME","ttl":3600000000000,"num_uses":2,` +
			`"metadata":{"host":"a"},"cidr_list":["10.1.0.0/16"]}`,
		`authmount/UUID = {"Path":"ci/approle/","Type":"approle","UUID":"UUID","Accessor":"ACCESSOR","Description":"for CI","Options":null,"Local":false,` +
			`"SealWrap":false,"Config":{"DefaultLeaseTTL":0,"MaxLeaseTTL":3600000000000,"ListingVisibility":""}}`,
	}
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("stored is\n%s", got)
	}
}
