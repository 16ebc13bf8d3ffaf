package ledger

import (
	"bytes"
	"fmt"
	"iter"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// writeBatch is how many revoked serials are written at once.
const writeBatch = 4096

// Numbering is a CRL's place among those of its issuer. Base is that of a delta
// CRL, nil for a complete one.
type Numbering struct {
	Number uint64
	Base   *uint64
}

// Claim claims the CRL's number, and all that it revokes, for the message with
// this sum, when its entries have been taken. What people have approved may have
// a lower number and take revocations back.
func (x *List) Claim(name []byte, n Numbering, sum Sum, approved bool) error {
	if err := x.l.writable(floorList); err != nil {
		return err
	}
	x.issuer = NewIssuer(name, x.spki)
	x.id = x.issuer.digest()
	key := numberKey(nameDigest(name))
	x.l.lists.Lock()
	defer x.l.lists.Unlock()

	record, err := x.l.get(key)
	if err != nil {
		return err
	}
	again, against := x.number(record, n.Number, &sum)
	if again {
		return nil
	}
	if !x.begun {
		if err := x.begin(); err != nil {
			return err
		}
	}
	// A CRL that was signed since may have revoked what this one lacks.
	if !bytes.Equal(x.began, record) {
		return &Refusal{Rule: RuleNumber, Again: true, Reason: "was overtaken by another CRL of the same issuer"}
	}
	for x.pass.Valid() {
		if err := x.next(); err != nil {
			return err
		}
	}
	if err := x.pass.Error(); err != nil {
		return err
	}
	if against == nil {
		against = x.revokes(n)
	}
	if against != nil {
		if err := x.l.unless(approved, &sum, against); err != nil {
			return err
		}
		if err := x.takeBack(n, &sum); err != nil {
			return err
		}
	}
	return x.write(key, n.Number, &sum)
}

// revokes judges whether the CRL revokes what it has to.
func (x *List) revokes(n Numbering) error {
	for serial := range x.back.all() {
		return refuse(RuleRevoked, "takes the revocation of serial number %s back (removeFromCRL)", colons(serialOf(serial)))
	}
	if !x.gone.any || n.Base != nil && x.gone.number <= *n.Base {
		return nil
	}
	return refuse(RuleRevoked, "leaves out serial number %s, which was revoked in CRL number %d and is not known to have expired", colons(x.gone.serial), x.gone.number)
}

// number judges the CRL number by the record of the last one. The same number
// for the same bytes is a repetition, of which all is known.
func (x *List) number(record []byte, number uint64, sum *Sum) (again bool, err error) {
	if number > maxNumber {
		return false, &Refusal{Rule: RuleNumber, Reason: fmt.Sprintf("has the number %d; numbers beyond 2^62 are not signed", number)}
	}
	var last uint64
	if record != nil {
		var of []byte
		if last, of, err = readNumber(record); err != nil {
			return false, err
		}
		if number == last && bytes.Equal(of, sum[:]) {
			return true, nil
		}
		if number <= last {
			return false, refuse(RuleNumber, "has the number %d, and the last CRL of the issuer %s had %d", number, shown(x.issuer.Name), last)
		}
		if number-last > maxStep {
			return false, refuse(RuleNumber, "has the number %d, more than 2^40 beyond %d, which the last CRL of the issuer %s had", number, last, shown(x.issuer.Name))
		}
	}
	return false, nil
}

// write writes the serials before the number: after a crash in between they are
// revoked, as the next CRL will most likely say, and the number is free.
func (x *List) write(key []byte, number uint64, sum *Sum) error {
	for chunk := range x.First(writeBatch) {
		b := x.l.db.NewBatch()
		for _, serial := range chunk {
			notAfter, err := x.l.end(x.id, serial)
			if err != nil {
				return err
			}
			if err := b.Set(revokedKey(x.id, serial), revokedValue(number, notAfter), nil); err != nil {
				return err
			}
		}
		if err := x.l.commit(b, pebble.NoSync); err != nil {
			return err
		}
	}
	return x.l.putNumber(x.issuer, x.id, key, number, sum)
}

// First gives the serials that the CRL is the first of its issuer to revoke, by
// their contents octets, some at a time: what a log must have of it so that all
// can be replayed.
func (x *List) First(some int) iter.Seq[[][]byte] {
	return func(yield func([][]byte) bool) {
		chunk := make([][]byte, 0, min(some, x.fresh.count))
		for kept := range x.fresh.all() {
			if chunk = append(chunk, serialOf(kept)); len(chunk) == some {
				if !yield(chunk) {
					return
				}
				chunk = make([][]byte, 0, some)
			}
		}
		if len(chunk) > 0 {
			yield(chunk)
		}
	}
}

func (l *Ledger) putNumber(i Issuer, id digest, key []byte, number uint64, sum *Sum) error {
	b := l.db.NewBatch()
	written, err := l.index(b, i, id)
	if err != nil {
		return err
	}
	if err := b.Set(key, numberValue(number, sum), nil); err != nil {
		return err
	}
	if err := l.commit(b, l.sync); err != nil {
		return err
	}
	written()
	return nil
}

// end gives the end of an issued certificate, zero where it is not known.
func (l *Ledger) end(issuer digest, serial []byte) (time.Time, error) {
	value, err := l.get(issuedKey(issuer, serial))
	if value == nil || err != nil {
		return time.Time{}, err
	}
	notAfter, _, err := readIssued(value)
	return notAfter, err
}

// LastNumber gives the last CRL number that was signed under a Name, 0 where
// none was.
func (l *Ledger) LastNumber(name []byte) (uint64, error) {
	record, err := l.get(numberKey(nameDigest(name)))
	if record == nil || err != nil {
		return 0, err
	}
	number, _, err := readNumber(record)
	return number, err
}
