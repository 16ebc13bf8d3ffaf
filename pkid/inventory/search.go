package inventory

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// Query says which certificates are looked for; what is empty does not count.
type Query struct {
	CommonName string // the subject's, whatever the case
	// Name is any name: the common name or an alternative one, whatever the
	// case; "*.example.com" is every name below a domain, the wildcard too.
	Name   string
	Issuer string // the issuer's id
	Role   string

	ExpiresAfter, ExpiresBefore time.Time // notAfter is at or after, and before
	Revoked                     *bool

	// After is the Next of the page before, or the serial number of its last
	// certificate as octets; at most one of them is set.
	After       Position
	AfterSerial *big.Int
	Limit       int // at least 1
}

// Found is one certificate that a query matches.
type Found struct {
	*Certificate
	Parsed     *x509.Certificate // nil where DER is
	Revocation *Revocation       // nil if it is not revoked
}

// Position is a place in the order of a query's results, to go on from.
type Position []byte

// Page is a part of what a query matches, in order of expiry, or, for names
// below a domain, in order of name. Next is nil at the end; otherwise there may
// be more, even if the page is not full.
type Page struct {
	Found []Found
	Next  Position
}

// maxExamined bounds how many entries of an index one page looks at, so that a
// query costs the same however much is stored.
const maxExamined = 5000

// ErrPosition is returned for a position that is not one of the query's.
var ErrPosition = errors.New("the position to go on from is not one of this query's results")

// Search gives the next page of what a query matches. It goes along the
// narrowest index: of names, then roles, issuers, revocations, expiry; what the
// other conditions exclude is passed over.
func (v Inventory) Search(r store.Reader, q *Query) (*Page, error) {
	w := v.walk(q)
	if err := w.goOnFrom(r, q); err != nil {
		return nil, err
	}
	page, examined := new(Page), 0
	err := r.Scan(w.start, w.end, func(key, value []byte) error {
		if len(page.Found) == q.Limit || examined == maxExamined {
			page.Next = bytes.Clone(w.last)
			return store.ErrStop
		}
		examined++
		w.last = append(w.last[:0], key[len(v.space):]...)
		found, err := w.examine(r, q, key, value)
		if err == nil && found != nil {
			page.Found = append(page.Found, *found)
		}
		return err
	})
	return page, err
}

// walk is the way of a query along one index.
type walk struct {
	Inventory
	start, end []byte
	prefix     int    // octets before the time, where all keys have as many
	below      string // for names below a domain: what their keys begin with
	name       int    // and the octets before the name
	last       []byte // what was looked at last, without the mount's prefix
}

func (v Inventory) walk(q *Query) *walk {
	w := &walk{Inventory: v}
	if domain, ok := strings.CutPrefix(q.Name, "*."); ok && domain != "" && q.CommonName == "" {
		w.below = nameKey(domain) + "."
		w.start, w.end = v.space.Names(w.below)
		w.name = len(w.start) - len(w.below)
		return w
	}
	var index store.Index
	switch {
	case q.CommonName != "":
		index = v.space.ByName(nameKey(q.CommonName))
	case q.Name != "":
		index = v.space.ByName(nameKey(q.Name))
	case q.Role != "":
		index = v.space.ByRole(q.Role)
	case q.Issuer != "":
		index = v.space.ByIssuer(q.Issuer)
	case q.Revoked != nil && *q.Revoked:
		index = v.space.ByRevocation()
	default:
		index = v.space.ByExpiry()
	}
	w.prefix = len(index)
	w.start, w.end = index.Between(q.ExpiresAfter, q.ExpiresBefore)
	return w
}

// goOnFrom moves the walk's start behind what the page before ended with.
func (w *walk) goOnFrom(r store.Reader, q *Query) error {
	from := []byte(nil)
	switch {
	case q.After != nil:
		from = append([]byte(w.space), q.After...)
	case q.AfterSerial != nil:
		c, err := w.Get(r, q.AfterSerial)
		if errors.Is(err, store.ErrNotFound) {
			return ErrPosition
		}
		if err != nil {
			return err
		}
		if from, err = w.keyOf(c); err != nil {
			return err
		}
	default:
		return nil
	}
	if bytes.Compare(from, w.start) < 0 || w.end != nil && bytes.Compare(from, w.end) >= 0 {
		return ErrPosition
	}
	w.start = append(from, 0)
	return nil
}

// keyOf is the key at which the walk meets a certificate.
func (w *walk) keyOf(c *Certificate) ([]byte, error) {
	serial := c.Serial.Bytes()
	if w.below == "" {
		return store.Index(w.start[:w.prefix:w.prefix]).Entry(c.NotAfter, serial), nil
	}
	parsed, err := c.parse()
	if err != nil || parsed == nil {
		return nil, errors.Join(err, ErrPosition)
	}
	return w.space.ByName(firstBelow(parsed, w.below)).Entry(c.NotAfter, serial), nil
}

// firstBelow is the first of a certificate's names that begin so, in the order
// of the index: a certificate with several is found at that one. "" if there is
// none.
func firstBelow(c *x509.Certificate, below string) (first string) {
	for name := range names(c) {
		if strings.HasPrefix(name, below) && (first == "" || name < first) {
			first = name
		}
	}
	return first
}

// examine reads the certificate of an index's entry; nil if the query does not
// match it.
func (w *walk) examine(r store.Reader, q *Query, key, value []byte) (*Found, error) {
	prefix := w.prefix
	if w.below != "" {
		prefix = w.name + bytes.IndexByte(key[w.name:], 0) + 1
	}
	notAfter, octets, ok := store.SplitEntry(key, prefix)
	if !ok {
		return nil, fmt.Errorf("an index's entry is damaged: %q", key)
	}
	if q.CommonName != "" && (len(value) != 1 || value[0]&inCommonName == 0) || !q.within(notAfter) {
		return nil, nil
	}
	found, err := w.found(r, q, new(big.Int).SetBytes(octets))
	if err != nil || found == nil {
		return nil, err
	}
	if w.below != "" && firstBelow(found.Parsed, w.below) != string(key[w.name:prefix-1]) {
		return nil, nil
	}
	return found, nil
}

// within reports whether a certificate's end is in the query's range.
func (q *Query) within(notAfter time.Time) bool {
	return (q.ExpiresAfter.IsZero() || !notAfter.Before(q.ExpiresAfter)) && (q.ExpiresBefore.IsZero() || notAfter.Before(q.ExpiresBefore))
}

// found reads a certificate and its revocation, as far as the query wants to
// know; nil if it does not match. A revoked certificate may have been tidied
// away: then it is known by its revocation alone.
func (w *walk) found(r store.Reader, q *Query, serial *big.Int) (*Found, error) {
	revocation, err := w.Revocation(r, serial)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if q.Revoked != nil && *q.Revoked != (revocation != nil) {
		return nil, nil
	}
	c, err := w.Get(r, serial)
	switch {
	case err == nil:
		c.DER = bytes.Clone(c.DER)
	case errors.Is(err, store.ErrNotFound) && revocation != nil:
		c = &Certificate{Serial: serial, Issuer: revocation.Issuer, Group: revocation.Group, NotAfter: revocation.NotAfter}
	default:
		return nil, fmt.Errorf("an index names a certificate that is not there: %w", err)
	}
	if q.Issuer != "" && c.Issuer != q.Issuer || q.Role != "" && c.Role != q.Role {
		return nil, nil
	}
	parsed, err := c.parse()
	if err != nil || !q.named(parsed) {
		return nil, err
	}
	return &Found{c, parsed, revocation}, nil
}

// named reports whether a certificate has the names that the query asks for.
func (q *Query) named(c *x509.Certificate) bool {
	if q.Name == "" && q.CommonName == "" {
		return true
	}
	if c == nil {
		return false
	}
	all := names(c)
	if q.CommonName != "" && all[nameKey(q.CommonName)]&inCommonName == 0 {
		return false
	}
	if domain, ok := strings.CutPrefix(q.Name, "*."); ok && domain != "" {
		return firstBelow(c, nameKey(domain)+".") != ""
	}
	return q.Name == "" || all[nameKey(q.Name)] != 0
}

// parse parses the certificate, if it is stored.
func (c *Certificate) parse() (*x509.Certificate, error) {
	if len(c.DER) == 0 {
		return nil, nil
	}
	parsed, err := x509.ParseCertificate(c.DER)
	if err != nil {
		return nil, fmt.Errorf("a stored certificate: %w", err)
	}
	return parsed, nil
}
