package ledger

import (
	"bytes"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Shuffled is how many entries a CRL may have in any order. Beyond it they come
// in order of the octets of their serial numbers, without the zero that DER puts
// before a set high bit: what is looked for is then found in one pass.
const Shuffled = 1 << 16

// maxNew is how many serials one CRL may revoke that no CRL of the issuer had
// before; more than Shuffled of them only one CRL may at a time. They are held in
// memory until the CRL has been read to its end.
const maxNew = 4 << 20

// maxStep is how far a CRL number may be beyond the one before, and maxNumber
// what none may be beyond. An attacker who could use up all numbers would end
// revocation for good.
const (
	maxStep   = 1 << 40
	maxNumber = 1 << 62
)

// List judges one CRL. Its entries are shown to it as they are read, and their
// number bounded by nothing, so that it holds none of those that were in an
// earlier CRL: both come in order, and are passed through side by side.
type List struct {
	l    *Ledger
	spki []byte
	now  time.Time

	issuer  Issuer
	id      digest
	begun   bool
	began   []byte // the record of the last CRL when the pass began
	pass    *pebble.Iterator
	met     bool // this CRL has what the pass stands at
	gone    missing
	lost    serials // all that is missing, up to Shuffled
	back    serials // with removeFromCRL
	count   int
	held    serials // until the pass begins: all
	fresh   serials // revoked by this CRL first
	last    []byte  // the serial before
	newest  []byte  // the last of fresh
	ordered bool
	large   bool
}

// missing is what earlier CRLs had revoked and this one leaves out, of
// certificates that have not expired: an example, the one that came last.
type missing struct {
	any    bool
	number uint64
	serial []byte
}

// NewList judges a CRL that the key pair is to sign now.
func (l *Ledger) NewList(spki []byte, now time.Time) *List {
	return &List{l: l, spki: spki, now: now, ordered: true}
}

// Issuer is who issues the CRL, once it was claimed.
func (x *List) Issuer() Issuer { return x.issuer }

// Close lets go of what the list holds. It may be called more than once, and of
// no list.
func (x *List) Close() {
	if x == nil {
		return
	}
	if x.pass != nil {
		x.pass.Close()
		x.pass = nil
	}
	if x.large {
		x.large = false
		<-x.l.large
	}
}

// removeFromCRL is the reason of an entry that takes a revocation back (RFC 5280,
// section 5.3.1).
const removeFromCRL = 8

// Entry takes the next entry: the contents octets of its serial number, and its
// reason, 0 if it has none.
func (x *List) Entry(issuer, serial []byte, reason uint8) error {
	if x.count == 0 {
		x.issuer = NewIssuer(bytes.Clone(issuer), x.spki)
		x.id = x.issuer.digest()
	}
	x.count++
	kept := appendSerial(make([]byte, 0, 24), serial)
	if reason == removeFromCRL {
		if x.back.count == Shuffled {
			return refuse(RuleRevoked, "takes more than %d revocations back (removeFromCRL)", Shuffled)
		}
		x.back.add(kept)
		return nil
	}
	if x.ordered = x.ordered && bytes.Compare(x.last, kept) <= 0; !x.ordered && x.count > Shuffled {
		return &Refusal{Rule: RuleOrder, Reason: fmt.Sprintf("has more than %d entries, which are not in order of their serial numbers' octets", Shuffled)}
	}
	x.last = append(x.last[:0], kept...)
	if x.count <= Shuffled {
		x.held.add(kept)
		return nil
	}
	if !x.begun {
		if err := x.begin(); err != nil {
			return err
		}
	}
	return x.compare(kept)
}

// begin begins the pass through what earlier CRLs have revoked.
func (x *List) begin() (err error) {
	x.begun = true
	if x.began, err = x.l.get(numberKey(nameDigest(x.issuer.Name))); err != nil {
		return err
	}
	lower, upper := revokedBounds(x.id)
	if x.pass, err = x.l.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper}); err != nil {
		return err
	}
	x.pass.First()
	held := x.held
	x.held = serials{}
	if !x.ordered {
		held = held.sorted()
	}
	for serial := range held.all() {
		if err := x.compare(serial); err != nil {
			return err
		}
	}
	return nil
}

// revokedPrefix is how much of a key stands before the serial.
const revokedPrefix = 1 + len(digest{})

// compare passes on to the serial, which is not before the one before it.
func (x *List) compare(serial []byte) error {
	for x.pass.Valid() {
		switch order := bytes.Compare(x.pass.Key()[revokedPrefix:], serial); {
		case order == 0:
			x.met = true
			return nil // it stays there, for a second entry of the same
		case order > 0:
			return x.first(serial)
		}
		if err := x.next(); err != nil {
			return err
		}
	}
	return x.first(serial)
}

// next leaves a serial behind, which is missing unless it was met.
func (x *List) next() error {
	if !x.met {
		if err := x.leftOut(); err != nil {
			return err
		}
	}
	x.met = false
	x.pass.Next()
	return nil
}

// leftOut looks at a serial that this CRL does not have. Where it was not known
// when its certificate expires, it may be by now.
func (x *List) leftOut() error {
	number, notAfter, err := readRevoked(x.pass.Value())
	if err != nil {
		return err
	}
	serial := serialOf(x.pass.Key()[revokedPrefix:])
	if notAfter.IsZero() {
		if notAfter, err = x.l.end(x.id, serial); err != nil {
			return err
		}
	}
	if !notAfter.IsZero() && notAfter.Before(x.now) {
		return nil
	}
	if x.lost.count < Shuffled {
		x.lost.add(x.pass.Key()[revokedPrefix:])
	}
	if !x.gone.any || number > x.gone.number {
		x.gone = missing{true, number, bytes.Clone(serial)}
	}
	return nil
}

// first notes a serial that no CRL before this one had.
func (x *List) first(serial []byte) error {
	if bytes.Equal(serial, x.newest) {
		return nil
	}
	if x.fresh.count == maxNew {
		return &Refusal{Rule: RuleRevoked, Reason: fmt.Sprintf("has more than %d serial numbers that were in no CRL before", maxNew)}
	}
	if x.fresh.count == Shuffled && !x.large {
		select {
		case x.l.large <- struct{}{}:
			x.large = true
		default:
			return &Refusal{Rule: RuleRevoked, Again: true, Reason: "has many serial numbers that were in no CRL before, and another such CRL is under way"}
		}
	}
	x.newest = append(x.newest[:0], serial...)
	x.fresh.add(serial)
	return nil
}
