package ledger

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Kind says what a Fact is about.
type Kind uint8

// The kinds of Fact.
const (
	Issued  Kind = 1 // a certificate: Serials has its one, NotAfter and Sum are its
	Revoked Kind = 2 // some of the serials that a CRL with this Number is the first to revoke
	Listed  Kind = 3 // a CRL: Number and Sum are its
)

// Fact is what a log says of a signature, as far as the ledger goes by it. A CRL
// makes Revoked ones, and after them one that is Listed.
type Fact struct {
	Kind     Kind
	Issuer   Issuer
	Serials  [][]byte // contents octets
	NotAfter time.Time
	Number   uint64
	Sum      Sum
}

// Replay brings back what a crash took, or a restored ledger lacks. It judges
// nothing, and repeating it changes nothing.
func (l *Ledger) Replay(f *Fact) error {
	id := f.Issuer.digest()
	switch f.Kind {
	case Issued:
		if len(f.Serials) != 1 {
			return fmt.Errorf("a certificate with %d serial numbers", len(f.Serials))
		}
		key := issuedKey(id, f.Serials[0])
		if value, err := l.get(key); value != nil || err != nil {
			return err
		}
		return l.putIssued(f.Issuer, id, key, f.NotAfter, &f.Sum, false)
	case Revoked:
		return l.replayRevoked(id, f)
	case Listed:
		key := numberKey(nameDigest(f.Issuer.Name))
		last, err := l.LastNumber(f.Issuer.Name)
		if err != nil || last >= f.Number {
			return err
		}
		return l.putNumber(f.Issuer, id, key, f.Number, &f.Sum)
	}
	return fmt.Errorf("a fact of the unknown kind %d", f.Kind)
}

func (l *Ledger) replayRevoked(id digest, f *Fact) error {
	b := l.db.NewBatch()
	for _, serial := range f.Serials {
		key := revokedKey(id, serial)
		value, err := l.get(key)
		if err != nil {
			return err
		}
		if value != nil {
			continue
		}
		notAfter, err := l.end(id, serial)
		if err != nil {
			return err
		}
		if err := b.Set(key, revokedValue(f.Number, notAfter), nil); err != nil {
			return err
		}
	}
	return l.commit(b, pebble.NoSync)
}

// Mark notes that whatever the log has up to this position is in the ledger, and
// with it what its owner counts of what is there. It is written after that, so a
// crash takes it first.
func (l *Ledger) Mark(position uint64, tally []byte) error {
	return l.db.Set(positionKey, append(binary.BigEndian.AppendUint64(nil, position), tally...), pebble.NoSync)
}

// Position is what was marked last, 0 and nil at first.
func (l *Ledger) Position() (position uint64, tally []byte, err error) {
	value, err := l.get(positionKey)
	if value == nil || err != nil {
		return 0, nil, err
	}
	if len(value) < 8 {
		return 0, nil, errDamaged
	}
	return binary.BigEndian.Uint64(value), value[8:], nil
}
