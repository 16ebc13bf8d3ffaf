// Package identity is who somebody is where he logged in, and the templates that
// are filled in with it: of policies' paths, and of names that a role allows.
// There is no store of identities: what is known is the [Alias] in a token.
package identity

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Alias is who somebody is where he logged in, as templates see him.
// It is kept in the token and passed on to its children, not to orphans.
type Alias struct {
	Accessor string            `json:"accessor"` // of the login's mount, which makes the name one person's
	Name     string            `json:"name"`     // an AppRole's role_id, a certificate's common name, a JWT's user claim
	Metadata map[string]string `json:"metadata,omitempty"`
}

// String has all of an alias, so that two are equal if their texts are.
func (a *Alias) String() string {
	if a == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%q %q", a.Accessor, a.Name)
	for _, key := range slices.Sorted(maps.Keys(a.Metadata)) {
		fmt.Fprintf(&b, " %q=%q", key, a.Metadata[key])
	}
	return b.String()
}
