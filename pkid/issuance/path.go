package issuance

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/hsmpki/hsmpki/pkid/nameconstraints"
)

// maxPaths and maxPathCAs bound the search among cross-certified CAs.
const (
	maxPaths   = 64
	maxPathCAs = 16
)

// path is one certification path: the issuer's certificate, then each one's
// issuer's, as far as they are known (RFC 5280, section 6.1).
type path struct {
	cas         []*x509.Certificate
	constraints []*nameconstraints.Constraints // of each, nil for none
	// broken is why nothing that the issuer issues is valid on this path.
	broken error
}

// findPaths lists the paths from issuer through the CA certificates above: at
// least one, which is the issuer alone if nothing above is known.
func findPaths(issuer *x509.Certificate, above []*x509.Certificate) []path {
	var paths []path
	var climb func(cas []*x509.Certificate)
	climb = func(cas []*x509.Certificate) {
		top := cas[len(cas)-1]
		ended := true
		if !selfIssued(top) || top.CheckSignatureFrom(top) != nil { // not a root
			for _, parent := range above {
				if len(cas) < maxPathCAs && len(paths) < maxPaths && isParent(parent, top) && !slices.ContainsFunc(cas, parent.Equal) {
					ended = false
					climb(append(cas[:len(cas):len(cas)], parent))
				}
			}
		}
		if ended && len(paths) < maxPaths {
			paths = append(paths, newPath(cas))
		}
	}
	climb([]*x509.Certificate{issuer})
	return paths
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

func isParent(parent, child *x509.Certificate) bool {
	return bytes.Equal(parent.RawSubject, child.RawIssuer) &&
		(len(child.AuthorityKeyId) == 0 || len(parent.SubjectKeyId) == 0 || bytes.Equal(child.AuthorityKeyId, parent.SubjectKeyId)) &&
		child.CheckSignatureFrom(parent) == nil
}

func newPath(cas []*x509.Certificate) path {
	p := path{cas: cas}
	for _, ca := range cas {
		c, err := nameconstraints.Of(ca)
		if err != nil {
			p.broken = Refuse("the CA certificate %q has %s", ca.Subject, err)
			return p
		}
		p.constraints = append(p.constraints, c)
	}
	if p.broken = p.allowsLength(0); p.broken != nil {
		return p
	}
	for i, ca := range cas {
		if !selfIssued(ca) {
			if p.broken = p.permits(ca, i+1); p.broken != nil {
				return p
			}
		}
	}
	return p
}

// allowsLength checks the path length constraints with so many CA certificates
// more below the issuer. Self-issued ones do not count.
func (p *path) allowsLength(more int) error {
	below := more
	for _, ca := range p.cas {
		if limited := ca.MaxPathLen > 0 || ca.MaxPathLenZero; limited && below > ca.MaxPathLen {
			return Refuse("the path length constraint of the CA certificate %q allows %d CA certificates below it, and there would be %d",
				ca.Subject, ca.MaxPathLen, below)
		}
		if !selfIssued(ca) {
			below++
		}
	}
	return nil
}

// pathLength is how many CA certificates may follow below the issuer on the path
// that allows the most; -1 is any. It is an error if nothing may follow at all.
func (i *Issuer) pathLength() (int, error) {
	most, broken := -2, error(nil)
	for _, p := range i.paths() {
		if p.broken != nil {
			broken = p.broken
			continue
		}
		left := p.length()
		if left == -1 {
			return -1, nil
		}
		most = max(most, left)
	}
	if most == -2 {
		return 0, broken
	}
	return most, nil
}

// length is how many CA certificates may follow below on this path; -1 is any.
func (p *path) length() int {
	left, below := -1, 0
	for _, ca := range p.cas {
		if limited := ca.MaxPathLen > 0 || ca.MaxPathLenZero; limited && (left == -1 || ca.MaxPathLen-below < left) {
			left = ca.MaxPathLen - below
		}
		if !selfIssued(ca) {
			below++
		}
	}
	return left
}

// permits checks the names of c, whose issuer is the CA at index from, against
// the constraints of that and all above.
func (p *path) permits(c *x509.Certificate, from int) error {
	var names []nameconstraints.Name
	for i := from; i < len(p.cas); i++ {
		if p.constraints[i] == nil {
			continue
		}
		if names == nil {
			var err error
			if names, err = nameconstraints.NamesOf(c); err != nil {
				return Refuse("%s", err)
			}
		}
		var violation *nameconstraints.Violation
		if err := p.constraints[i].Check(names); errors.As(err, &violation) {
			text := fmt.Sprintf("the name constraints of the CA certificate %q: %s", p.cas[i].Subject, violation)
			if c.IsCA {
				text = fmt.Sprintf("%s, which the CA certificate %q has", text, c.Subject)
			}
			return &Refusal{Reason: text}
		}
	}
	return nil
}

// permits returns a *Refusal if a certificate like c would be valid on none of
// the issuer's paths: what the first path says.
func (i *Issuer) permits(c *x509.Certificate) error {
	var first error
	for _, p := range i.paths() {
		err := p.broken
		if err == nil && c.IsCA && !selfIssued(c) {
			err = p.allowsLength(1)
		}
		if err == nil {
			err = p.permits(c, 0)
		}
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}
