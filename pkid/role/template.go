package role

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/identity"
)

// For gives the role as it is for whoever has an alias: where the role says so,
// allowed_domains and allowed_uri_sans are filled in with it. What cannot be
// filled in, or would be more than a part of a name, allows nothing.
func (r *Role) For(alias *identity.Alias) *Role {
	if !r.AllowedDomainsTemplate && !r.AllowedURISANsTemplate {
		return r
	}
	filled := *r
	if r.AllowedDomainsTemplate {
		filled.AllowedDomains = fill(r.AllowedDomains, alias)
	}
	if r.AllowedURISANsTemplate {
		filled.AllowedURISANs = fill(r.AllowedURISANs, alias)
	}
	return &filled
}

func fill(allowed []string, alias *identity.Alias) (filled []string) {
	for _, value := range allowed {
		template, err := identity.ParseTemplate(value)
		if err != nil {
			continue // told when the role was written
		}
		if template == nil {
			filled = append(filled, value)
		} else if text, known, err := template.Fill(alias); known && err == nil {
			filled = append(filled, text)
		}
	}
	return filled
}

// isTemplate reports whether an allowed value is to be filled in; before it is, it
// allows nothing.
func isTemplate(s string) bool { return strings.Contains(s, "{{") }

// templateWarnings names the values that can never be filled in.
func (r *Role) templateWarnings() (warnings []string) {
	var values []string
	if r.AllowedDomainsTemplate {
		values = r.AllowedDomains
	}
	if r.AllowedURISANsTemplate {
		values = slices.Concat(values, r.AllowedURISANs)
	}
	for _, value := range values {
		if _, err := identity.ParseTemplate(value); err != nil {
			warnings = append(warnings, fmt.Sprintf("%q allows nothing: %v", value, err))
		}
	}
	return warnings
}
