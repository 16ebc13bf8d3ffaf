package role

import (
	"slices"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/identity"
)

// TestTemplates: a role's names may be filled in with who asks, and what cannot
// be allows nothing.
func TestTemplates(t *testing.T) {
	r := Default()
	r.AllowedDomainsTemplate, r.AllowedURISANsTemplate = true, true
	r.AllowedDomains = []string{"{{identity.entity.aliases.a.name}}.example.com", "{{identity.entity.aliases.a.metadata.team}}.example.org", "example.net", "{{identity.entity.name}}.com", "{{"}
	r.AllowedURISANs = []string{"spiffe://example.com/{{identity.entity.aliases.a.name}}"}
	for _, c := range []struct {
		alias         *identity.Alias
		domains, uris []string
	}{
		{nil, []string{"example.net"}, nil},
		{&identity.Alias{Accessor: "b", Name: "web"}, []string{"example.net"}, nil},
		{&identity.Alias{Accessor: "a", Name: "web"}, []string{"web.example.com", "example.net"}, []string{"spiffe://example.com/web"}},
		{&identity.Alias{Accessor: "a", Name: "*", Metadata: map[string]string{"team": "blue"}}, []string{"blue.example.org", "example.net"}, nil},
		{&identity.Alias{Accessor: "a", Name: "a/b"}, []string{"example.net"}, nil},
		{&identity.Alias{Accessor: "a", Name: ""}, []string{"example.net"}, nil},
	} {
		got := r.For(c.alias)
		if !slices.Equal(got.AllowedDomains, c.domains) || !slices.Equal(got.AllowedURISANs, c.uris) {
			t.Errorf("%v: %q %q", c.alias, got.AllowedDomains, got.AllowedURISANs)
		}
	}
	if w := r.templateWarnings(); len(w) != 2 {
		t.Errorf("warnings %q", w)
	}
	r.AllowedDomainsTemplate, r.AllowedURISANsTemplate = false, false
	if got := r.For(nil); got != r || len(got.templateWarnings()) != 0 {
		t.Error("a role without templates is another one")
	}
}
