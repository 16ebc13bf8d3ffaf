package ledger

import (
	"bytes"
	"hash/maphash"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

var seed = maphash.MakeSeed()

// Issue claims a serial number, given by its contents octets, for the
// certificate with this sum. Of several who claim one at once the first has it.
// What people have approved takes it all the same.
func (l *Ledger) Issue(i Issuer, serial []byte, notAfter time.Time, sum Sum, approved bool) error {
	if err := l.writable(floorIssue); err != nil {
		return err
	}
	id := i.digest()
	key := issuedKey(id, serial)
	stripe := &l.stripes[maphash.Bytes(seed, key)%uint64(len(l.stripes))]
	stripe.Lock()
	defer stripe.Unlock()

	again, err := l.serial(i, id, key, serial, &sum)
	if again {
		return nil
	}
	overridden := err != nil
	if err = l.unless(approved, &sum, err); err != nil {
		return err
	}
	return l.putIssued(i, id, key, notAfter, &sum, overridden)
}

// serial judges a serial number. The same for the same bytes is a repetition.
func (l *Ledger) serial(i Issuer, id digest, key, serial []byte, sum *Sum) (again bool, err error) {
	value, err := l.get(key)
	if err != nil {
		return false, err
	}
	if value != nil {
		_, other, err := readIssued(value)
		if again = err == nil && bytes.Equal(other, sum[:keptSum]); err == nil && !again {
			err = refuse(RuleSerial, "has the serial number %s of another certificate that was signed for the issuer %s", colons(serial), shown(i.Name))
		}
		return again, err
	}
	// What is revoked was issued, be it before there was a ledger.
	if value, err = l.get(revokedKey(id, serial)); value == nil || err != nil {
		return false, err
	}
	return false, refuse(RuleSerial, "has the serial number %s, which is revoked in a CRL of the issuer %s", colons(serial), shown(i.Name))
}

func (l *Ledger) putIssued(i Issuer, id digest, key []byte, notAfter time.Time, sum *Sum, overridden bool) error {
	b := l.db.NewBatch()
	written, err := l.index(b, i, id)
	if err != nil {
		return err
	}
	if err := b.Set(key, issuedValue(notAfter, sum), nil); err != nil {
		return err
	}
	sync := l.sync
	if overridden {
		sync = pebble.Sync
		if err := b.Set(overrideKey(sum), []byte{1}, nil); err != nil {
			return err
		}
	}
	if err := l.commit(b, sync); err != nil {
		return err
	}
	written()
	return nil
}
