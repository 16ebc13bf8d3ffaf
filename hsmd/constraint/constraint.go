// Package constraint decides whether a key may sign a message that package tbs
// has recognised: the constraints block of a configuration, enforced on the bytes
// to be signed. It is pure: it has no clock, no storage and no network, and
// whoever calls it says what time it is and whose keys there are.
//
// An attacker chooses the bytes, and relying parties do not read them alike. So
// what a rule permits is read narrowly, what it forbids widely, and what can be
// read in two ways is refused.
//
// Start with [Set.Check]. [Limiter] counts signatures.
package constraint

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/tbs"
)

// grace is how much later a certificate, CRL or response may end than the rules
// say, for what passes between the making of a message and its signing, and how
// much earlier a certificate may begin.
const grace = time.Minute

// responderLife is how long a certificate of an OCSP responder in hsmd's memory
// may last to be exempt from the rules for certificates.
const responderLife = 7 * 24 * time.Hour

// Set is one constraints block, checked.
type Set struct {
	name  string
	rules config.Constraint
	words []string

	names      *names
	usages     oids
	extensions oids
	policies   oids
	issuers    []issuer
	hours      *hours
}

// New makes the set of a block, for the key or block of that name, with the
// certificates of its issuer. Its error says where in the file it is wrong.
func New(name string, c *config.Constraint, issuers []*x509.Certificate) (*Set, error) {
	s := &Set{name: name, rules: *c, words: words(c)}
	var err error
	if s.names, err = newNames(c); err != nil {
		return nil, err
	}
	for _, u := range c.ExtendedKeyUsages {
		s.usages.add(cmp.Or(usageOIDs[u], u))
	}
	for _, o := range c.PermittedExtensions {
		s.extensions.add(o)
	}
	for _, o := range c.PermittedPolicies {
		s.policies.add(o)
	}
	for attr, bad := range map[string]string{"extended_key_usages": s.usages.bad, "permitted_extensions": s.extensions.bad, "permitted_policies": s.policies.bad} {
		if bad != "" {
			return nil, c.Place.Errorf(attr, "%s: %q is no object identifier", attr, bad)
		}
	}
	for _, cert := range issuers {
		s.issuers = append(s.issuers, issuer{name: cert.RawSubject, keyID: cert.SubjectKeyId})
	}
	if s.hours, err = newHours(c); err != nil {
		return nil, err
	}
	return s, nil
}

// Facts are what a set cannot see in a message.
type Facts struct {
	Now time.Time
	// Waited is how long the message may have waited for approval.
	Waited time.Duration
	// Responder says that the certificate is for the key of an OCSP responder
	// that hsmd has in memory for the key that signs.
	Responder bool
}

// Refusal says which rule a message breaks.
type Refusal struct {
	Set    string // whose constraints
	Rule   string // the rule with its value: "max_ttl 2160h0m0s"
	Reason string
}

// Error gives all three in a line.
func (r *Refusal) Error() string {
	return fmt.Sprintf("constraints of %q: %s: %s", r.Set, r.Rule, r.Reason)
}

func (s *Set) refuse(rule, format string, args ...any) error {
	for _, w := range s.words {
		if strings.HasPrefix(w, rule+" ") {
			rule = w
			break
		}
	}
	return &Refusal{Set: s.name, Rule: rule, Reason: fmt.Sprintf(format, args...)}
}

// Check is nil where the set lets the message be signed, else a *Refusal.
func (s *Set) Check(m *tbs.Summary, f Facts) error {
	kind := m.Kind.String()
	exempt := f.Responder && respondsOnly(m, f.Now)
	if exempt {
		kind = "ocsp" // it gives the power to answer, and no other
	}
	if !s.Signs(kind) {
		return s.refuse("sign", "this is %s", article(kind))
	}
	if s.hours != nil && !exempt && (m.Kind == tbs.Certificate || m.Kind == tbs.Request) && !s.hours.contain(f.Now) {
		return s.refuse("hours", "it is %s", f.Now.In(s.hours.zone).Format("Mon 15:04 MST"))
	}
	if err := s.readable(m); err != nil {
		return err
	}
	switch m.Kind {
	case tbs.Certificate:
		if err := s.certificate(m, f, exempt); err != nil {
			return err
		}
		return s.issuedBy(m)
	case tbs.RevocationList:
		if err := s.ends("max_crl_validity", s.rules.MaxCRLValidity, "nextUpdate", m, f); err != nil {
			return err
		}
		return s.issuedBy(m)
	case tbs.OCSPResponse:
		return s.ends("max_ocsp_validity", s.rules.MaxOCSPValidity, "nextUpdate", m, f)
	}
	return nil
}

// Signs reports whether the set lets a kind of message be signed.
func (s *Set) Signs(kind string) bool {
	return len(s.rules.Sign) == 0 || slices.Contains(s.rules.Sign, kind)
}

// Rate is what the set says of how often the key signs.
func (s *Set) Rate() Rate {
	return Rate{Name: s.name, PerSecond: s.rules.Rate, Burst: cmp.Or(s.rules.Burst, s.rules.Rate), PerDay: s.rules.MaxPerDay}
}

func (s *Set) ends(rule string, limit config.Duration, what string, m *tbs.Summary, f Facts) error {
	if limit == 0 || !m.NotAfter.After(f.Now.Add(limit.Std()+grace)) {
		return nil
	}
	return s.refuse(rule, "%s is %s", what, m.NotAfter.Format(time.RFC3339))
}

// article puts a kind into a sentence.
func article(kind string) string {
	switch kind {
	case "ocsp":
		return "an OCSP response, or the certificate of an OCSP responder"
	case "crl":
		return "a CRL"
	case "csr":
		return "a certificate request"
	}
	return "a " + kind
}
