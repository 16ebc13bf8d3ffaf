package role

import (
	"fmt"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// parseOtherNames reads other names as the API writes them, oid;UTF8:value.
func parseOtherNames(texts []string) ([]issuance.OtherName, error) {
	var names []issuance.OtherName
	for _, text := range texts {
		id, typed, ok := strings.Cut(text, ";")
		if !ok {
			return nil, fmt.Errorf("expected a semicolon in other SAN %q", text)
		}
		kind, value, ok := strings.Cut(typed, ":")
		if !ok {
			return nil, fmt.Errorf("expected a colon in other SAN %q", text)
		}
		if !strings.EqualFold(kind, "UTF8") && !strings.EqualFold(kind, "UTF-8") {
			return nil, fmt.Errorf("only UTF8 other SANs are supported; found non-UTF8 type in other SAN %q", text)
		}
		oid, err := ParseOID(strings.TrimSpace(id))
		if err != nil {
			return nil, fmt.Errorf("%q is not an OID in other SAN %q", id, text)
		}
		names = append(names, issuance.OtherName{Type: oid, Value: value})
	}
	return names, nil
}

func allowsAllOtherNames(allowed []string) bool { return len(allowed) == 1 && allowed[0] == "*" }

// permitsOtherNames checks each other name against allowed_other_sans.
func (r *Role) permitsOtherNames(names []issuance.OtherName) error {
	if allowsAllOtherNames(r.AllowedOtherSANs) {
		return nil
	}
	allowed, err := parseOtherNames(r.AllowedOtherSANs)
	if err != nil {
		return fmt.Errorf("allowed_other_sans of the role: %w", err)
	}
	for _, name := range names {
		oidAllowed, valueAllowed := false, false
		for _, a := range allowed {
			if a.Type.Equal(name.Type) {
				oidAllowed = true
				valueAllowed = valueAllowed || vaultapi.GlobMatch(a.Value, name.Value)
			}
		}
		switch {
		case !oidAllowed:
			return refuse("other SAN OID %s not allowed by this role", name.Type)
		case !valueAllowed:
			return refuse("other SAN %s not allowed for OID %s by this role", name.Value, name.Type)
		}
	}
	return nil
}
