// Package inventory is what a mount has issued and revoked, as it lies in the
// store: certificates with their indexes and counts, revocations, and the
// entries that CRLs are made of. It writes and reads within an update or a view
// that its caller has begun, so that what belongs to one act is one update; it
// decides nothing, and knows no key, no role and no clock.
//
// Start with [Inventory.Put] and [Inventory.Revoke].
package inventory

import (
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// Inventory is that of one mount. It has no state of its own.
type Inventory struct{ space store.Keyspace }

// Of gives the inventory of the mount with this UUID.
func Of(uuid string) Inventory { return Inventory{store.Of(uuid)} }

// Certificate is what is known of one certificate.
type Certificate struct {
	Serial   *big.Int
	DER      []byte // nil where it was issued with no_store
	Issuer   string // the issuer's id
	Group    Group  // whose CRL would have it
	NotAfter time.Time

	// What follows is not kept with no_store.

	Role      string
	Requester string
	IssuedAt  time.Time
}

// record is what is kept of a certificate beside itself.
type record struct {
	Issuer    string `json:"issuer"`
	Group     Group  `json:"group"`
	Role      string `json:"role,omitempty"`
	Requester string `json:"requester,omitempty"`
	IssuedAt  int64  `json:"issued_at,omitempty"` // seconds since 1970
	NotAfter  int64  `json:"not_after"`           // seconds since 1970
}

// recordVersion is the first octet of a stored certificate.
const recordVersion = 2

// ErrSerialInUse is returned by Put for a serial number that was given before.
// 159 random bits do not meet: it is a fault.
var ErrSerialInUse = errors.New("the serial number is in use")

// Put writes a certificate with its indexes. parsed is c.DER parsed; Serial and
// NotAfter are taken from it.
func (v Inventory) Put(tx store.Tx, c *Certificate, parsed *x509.Certificate) error {
	serial := parsed.SerialNumber.Bytes()
	if err := v.free(tx, serial); err != nil {
		return err
	}
	meta, err := json.Marshal(&record{
		Issuer: c.Issuer, Group: c.Group, Role: c.Role, Requester: c.Requester, IssuedAt: c.IssuedAt.Unix(), NotAfter: parsed.NotAfter.Unix(),
	})
	if err != nil {
		return err
	}
	value := make([]byte, 0, 1+binary.MaxVarintLen32+len(meta)+len(c.DER))
	value = binary.AppendUvarint(append(value, recordVersion), uint64(len(meta)))
	value = append(append(value, meta...), c.DER...)
	if err := tx.Put(v.space.Certificate(serial), value); err != nil {
		return err
	}
	for _, e := range v.entries(c.Issuer, c.Role, parsed) {
		if err := tx.Put(e.key, e.value); err != nil {
			return err
		}
	}
	return tx.Add(v.space.CertificateCount(), 1)
}

// PutUnstored keeps of a certificate that is not to be stored what revoking it
// and answering for it takes: its serial number, issuer and end.
func (v Inventory) PutUnstored(tx store.Tx, c *Certificate) error {
	serial := c.Serial.Bytes()
	if err := v.free(tx, serial); err != nil {
		return err
	}
	value, err := json.Marshal(&record{Issuer: c.Issuer, Group: c.Group, NotAfter: c.NotAfter.Unix()})
	if err != nil {
		return err
	}
	if err := tx.Put(v.space.Unstored(serial), value); err != nil {
		return err
	}
	return tx.Put(v.space.UnstoredByExpiry().Entry(c.NotAfter, serial), nil)
}

func (v Inventory) free(r store.Reader, serial []byte) error {
	for _, key := range [][]byte{v.space.Certificate(serial), v.space.Unstored(serial)} {
		if _, err := r.Get(key); err == nil {
			return fmt.Errorf("%w: %s", ErrSerialInUse, issuance.FormatSerial(new(big.Int).SetBytes(serial)))
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// Get finds a certificate, stored or not, or gives store.ErrNotFound for a
// serial number that was never given. DER is a part of the value that was read.
func (v Inventory) Get(r store.Reader, serial *big.Int) (*Certificate, error) {
	octets := serial.Bytes()
	value, err := r.Get(v.space.Certificate(octets))
	if err == nil {
		return decode(serial, value)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if value, err = r.Get(v.space.Unstored(octets)); err != nil {
		return nil, err
	}
	kept := new(record)
	if err := json.Unmarshal(value, kept); err != nil {
		return nil, fmt.Errorf("a serial number's record: %w", err)
	}
	return kept.certificate(serial, nil), nil
}

// decode reads what Put wrote.
func decode(serial *big.Int, value []byte) (*Certificate, error) {
	if len(value) == 0 || value[0] != recordVersion {
		return nil, errors.New("a stored certificate is of another version of this program, or damaged")
	}
	size, n := binary.Uvarint(value[1:])
	if n <= 0 || size > uint64(len(value)-1-n) {
		return nil, errors.New("a stored certificate is damaged")
	}
	meta, der := value[1+n:1+n+int(size)], value[1+n+int(size):]
	kept := new(record)
	if err := json.Unmarshal(meta, kept); err != nil {
		return nil, fmt.Errorf("a stored certificate's record: %w", err)
	}
	return kept.certificate(serial, der), nil
}

func (k *record) certificate(serial *big.Int, der []byte) *Certificate {
	c := &Certificate{Serial: serial, DER: der, Issuer: k.Issuer, Group: k.Group, NotAfter: time.Unix(k.NotAfter, 0).UTC(), Role: k.Role, Requester: k.Requester}
	if der != nil {
		c.IssuedAt = time.Unix(k.IssuedAt, 0).UTC()
	}
	return c
}

// Serials lists at most limit serial numbers of stored certificates in order,
// those after the given one if it is not nil. A limit of 0 is none.
func (v Inventory) Serials(r store.Reader, after *big.Int, limit int) ([]*big.Int, error) {
	start, end := v.space.Certificates(octetsOf(after))
	return serials(r, start, end, limit, v.space.CertificateSerial)
}

// octetsOf are the octets of a serial number, nil for nil.
func octetsOf(serial *big.Int) []byte {
	if serial == nil {
		return nil
	}
	return serial.Bytes()
}

func serials(r store.Reader, start, end []byte, limit int, serial func(key []byte) []byte) ([]*big.Int, error) {
	var out []*big.Int
	err := r.Scan(start, end, func(key, _ []byte) error {
		out = append(out, new(big.Int).SetBytes(serial(key)))
		if limit > 0 && len(out) == limit {
			return store.ErrStop
		}
		return nil
	})
	return out, err
}

// Count is how many certificates are stored; it is kept, not counted.
func (v Inventory) Count(r store.Reader) (int64, error) { return r.Count(v.space.CertificateCount()) }
