// Package nameconstraints judges names by the name constraints of CA
// certificates (RFC 5280, section 4.2.1.10), so that a CA knows before it signs
// what relying parties will refuse.
//
// Relying parties do not read the RFC alike: crypto/x509 lets an e-mail or URI
// constraint without a dot cover what is below it and does not look at the
// subject, OpenSSL takes it for one host and looks at the common name. A name
// passes here if it passes with all of them: what permits is read narrowly, what
// excludes widely. What cannot be judged is refused.
//
// Start with Of, NamesOf and Constraints.Check.
package nameconstraints

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}

// Constraints are the name constraints of one CA certificate. They are
// immutable.
type Constraints struct {
	permitted, excluded []subtree
}

// subtree is a GeneralSubtree.
type subtree struct {
	base Name
	// unbounded: minimum and maximum are left out, as RFC 5280 demands.
	unbounded bool
}

// Of returns the name constraints of a certificate, nil if it has none.
func Of(c *x509.Certificate) (*Constraints, error) {
	for _, e := range c.Extensions {
		if e.Id.Equal(oidNameConstraints) {
			return Parse(e.Value)
		}
	}
	return nil, nil
}

var errMalformed = errors.New("malformed name constraints")

// Parse reads the value of a nameConstraints extension.
func Parse(der []byte) (*Constraints, error) {
	in := cryptobyte.String(der)
	var both, permitted, excluded cryptobyte.String
	var has bool
	c := new(Constraints)
	tag := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }
	if !in.ReadASN1(&both, cbasn1.SEQUENCE) || !in.Empty() ||
		!both.ReadOptionalASN1(&permitted, &has, tag(0)) || !both.ReadOptionalASN1(&excluded, &has, tag(1)) || !both.Empty() {
		return nil, errMalformed
	}
	var err error
	if c.permitted, err = parseSubtrees(permitted); err != nil {
		return nil, err
	}
	c.excluded, err = parseSubtrees(excluded)
	return c, err
}

func parseSubtrees(in cryptobyte.String) ([]subtree, error) {
	var subtrees []subtree
	for !in.Empty() {
		var one, base cryptobyte.String
		var tag cbasn1.Tag
		if !in.ReadASN1(&one, cbasn1.SEQUENCE) || !one.ReadAnyASN1(&base, &tag) {
			return nil, errMalformed
		}
		s := subtree{base: Name{form: form(tag &^ 0xa0), value: base}, unbounded: one.Empty()}
		if s.base.form == ip && len(base) != 8 && len(base) != 32 {
			return nil, errMalformed
		}
		if s.base.form == directory {
			if s.base.rdns = canonicalName(base); s.base.rdns == nil {
				return nil, errMalformed
			}
		}
		subtrees = append(subtrees, s)
	}
	return subtrees, nil
}

// Violation says which name is not allowed, and why.
type Violation struct {
	Name   Name
	Reason string
}

func (v *Violation) Error() string { return fmt.Sprintf("the %s %s", v.Name, v.Reason) }

// Check returns a *Violation for the first name that is not allowed, or nil.
// Nil constraints allow everything.
func (c *Constraints) Check(names []Name) error {
	if c == nil {
		return nil
	}
	for _, n := range names {
		if reason := c.refuses(&n); reason != "" {
			return &Violation{Name: n, Reason: reason}
		}
	}
	return nil
}

// refuses returns why n is not allowed, "" if it is.
func (c *Constraints) refuses(n *Name) string {
	if why := n.unmatchable(); why != "" {
		return "cannot be matched against name constraints: " + why
	}
	for _, s := range c.excluded {
		switch {
		case !s.concerns(n):
		case !s.judges():
			return "cannot be judged by the excluded " + s.base.String()
		case s.excludes(n):
			return "is excluded by the " + s.base.String()
		}
	}
	var permitted []string
	for _, s := range c.permitted {
		switch {
		case !s.concerns(n):
			continue
		case s.judges() && s.permits(n):
			return ""
		}
		permitted = append(permitted, s.base.String())
	}
	if len(permitted) > 0 {
		return "is not permitted: names of its kind must be within the " + strings.Join(permitted, ", ")
	}
	return ""
}

// concerns reports whether the constraint is about names of n's form; each type
// of other name is a form of its own.
func (s *subtree) concerns(n *Name) bool {
	return s.base.form == n.form && (n.form != other || s.base.otherType().Equal(n.otherType()))
}

// judges reports whether names can be held against this constraint at all.
func (s *subtree) judges() bool {
	switch s.base.form {
	case email, dns, directory, uri, ip:
		return s.unbounded
	}
	return false
}
