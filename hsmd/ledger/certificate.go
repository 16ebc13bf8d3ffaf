package ledger

import (
	"bytes"
	"hash/maphash"
	"time"
)

var seed = maphash.MakeSeed()

// Issue claims a serial number, given by its contents octets, for the
// certificate with this sum. Of several who claim one at once the first has it.
func (l *Ledger) Issue(i Issuer, serial []byte, notAfter time.Time, sum Sum) error {
	if err := l.writable(floorIssue); err != nil {
		return err
	}
	id := i.digest()
	key := issuedKey(id, serial)
	stripe := &l.stripes[maphash.Bytes(seed, key)%uint64(len(l.stripes))]
	stripe.Lock()
	defer stripe.Unlock()

	value, err := l.get(key)
	if err != nil {
		return err
	}
	if value != nil {
		_, other, err := readIssued(value)
		if err == nil && !bytes.Equal(other, sum[:keptSum]) {
			err = refuse(RuleSerial, "has the serial number %s of another certificate that was signed for the issuer %s", colons(serial), shown(i.Name))
		}
		return err
	}
	// What is revoked was issued, be it before there was a ledger.
	if value, err = l.get(revokedKey(id, serial)); err != nil {
		return err
	}
	if value != nil {
		return refuse(RuleSerial, "has the serial number %s, which is revoked in a CRL of the issuer %s", colons(serial), shown(i.Name))
	}
	return l.putIssued(i, id, key, notAfter, &sum)
}

func (l *Ledger) putIssued(i Issuer, id digest, key []byte, notAfter time.Time, sum *Sum) error {
	b := l.db.NewBatch()
	written, err := l.index(b, i, id)
	if err != nil {
		return err
	}
	if err := b.Set(key, issuedValue(notAfter, sum), nil); err != nil {
		return err
	}
	if err := l.commit(b, l.sync); err != nil {
		return err
	}
	written()
	return nil
}
