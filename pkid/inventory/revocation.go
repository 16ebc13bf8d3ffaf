package inventory

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// Group is the issuers of one subject and one public key. Relying parties
// cannot tell them apart, so that there is one CRL for them. It is 32
// hexadecimal digits, and the same for an issuer that was deleted and comes
// back.
type Group string

// GroupOf gives the group of an issuer's certificate.
func GroupOf(issuer *x509.Certificate) Group {
	h := sha256.New()
	h.Write(issuer.RawSubject)
	h.Write(issuer.RawSubjectPublicKeyInfo)
	return Group(hex.EncodeToString(h.Sum(nil)[:16]))
}

// Revocation says that a certificate is revoked.
type Revocation struct {
	Serial   *big.Int
	Issuer   string // the issuer's id
	Group    Group
	NotAfter time.Time // the certificate's end
	At       time.Time
	Reason   int // CRLReason (RFC 5280, section 5.3.1); 0 is unspecified
	// InvalidSince is when the key is thought to have been compromised or the
	// certificate to have become invalid (section 5.3.2); zero: not known.
	InvalidSince time.Time
	// SPKI is the DER of the certificate's public key, nil if it is not known.
	// With the reason keyCompromise it is remembered.
	SPKI []byte
}

// revocation is what is kept of a Revocation.
type revocation struct {
	Issuer       string     `json:"issuer"`
	Group        Group      `json:"group"`
	NotAfter     int64      `json:"not_after"` // seconds since 1970
	At           time.Time  `json:"revoked_at"`
	Reason       int        `json:"reason,omitempty"`
	InvalidSince *time.Time `json:"invalidity_date,omitempty"`
}

func (r *Revocation) kept() *revocation {
	kept := &revocation{Issuer: r.Issuer, Group: r.Group, NotAfter: r.NotAfter.Unix(), At: r.At.UTC(), Reason: r.Reason}
	if !r.InvalidSince.IsZero() {
		since := r.InvalidSince.UTC()
		kept.InvalidSince = &since
	}
	return kept
}

// Revoke writes a revocation, and all that CRLs and look-ups take from it. If
// the certificate is revoked already, nothing is written but that its key is
// compromised, if that is the reason now, and the revocation that there is is
// returned.
func (v Inventory) Revoke(tx store.Tx, r *Revocation) (earlier *Revocation, err error) {
	if r.Reason == issuance.KeyCompromise && r.SPKI != nil {
		if err := tx.Put(store.Compromised(sha256.Sum256(r.SPKI)), r.Serial.Bytes()); err != nil {
			return nil, err
		}
	}
	earlier, err = v.Revocation(tx, r.Serial)
	if !errors.Is(err, store.ErrNotFound) {
		return earlier, err
	}
	serial := r.Serial.Bytes()
	value, err := json.Marshal(r.kept())
	if err != nil {
		return nil, err
	}
	entry, err := issuance.EncodeRevoked(issuance.Revoked{SerialNumber: r.Serial, RevokedAt: r.At, Reason: r.Reason, InvalidSince: r.InvalidSince})
	if err != nil {
		return nil, err
	}
	generation, err := v.Generation(tx, r.Group)
	if err != nil {
		return nil, err
	}
	puts := []indexEntry{
		{v.space.Revoked(serial), value},
		{v.space.ByRevocation().Entry(r.NotAfter, serial), nil},
		{v.space.CRLEntry(string(r.Group), serial), entry},
		{v.space.CRLNew(string(r.Group), generation, serial), entry},
	}
	for _, p := range puts {
		if err := tx.Put(p.key, p.value); err != nil {
			return nil, err
		}
	}
	for _, count := range [][]byte{v.space.RevokedCount(), v.space.EntryCount(string(r.Group)), v.space.ChangeCount(string(r.Group))} {
		if err := tx.Add(count, 1); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// Revocation finds the revocation of a certificate, or gives store.ErrNotFound.
// SPKI is not among what is kept.
func (v Inventory) Revocation(r store.Reader, serial *big.Int) (*Revocation, error) {
	value, err := r.Get(v.space.Revoked(serial.Bytes()))
	if err != nil {
		return nil, err
	}
	kept := new(revocation)
	if err := json.Unmarshal(value, kept); err != nil {
		return nil, fmt.Errorf("the revocation of %s: %w", issuance.FormatSerial(serial), err)
	}
	out := &Revocation{Serial: serial, Issuer: kept.Issuer, Group: kept.Group, NotAfter: time.Unix(kept.NotAfter, 0).UTC(), At: kept.At, Reason: kept.Reason}
	if kept.InvalidSince != nil {
		out.InvalidSince = *kept.InvalidSince
	}
	return out, nil
}

// Reassign gives a revocation to another issuer of its group.
func (v Inventory) Reassign(tx store.Tx, serial *big.Int, issuer string) error {
	r, err := v.Revocation(tx, serial)
	if err != nil {
		return err
	}
	r.Issuer = issuer
	value, err := json.Marshal(r.kept())
	if err != nil {
		return err
	}
	return tx.Put(v.space.Revoked(serial.Bytes()), value)
}

// RevokedSerials lists at most limit serial numbers of revoked certificates in
// order, those after the given one if it is not nil. A limit of 0 is none.
func (v Inventory) RevokedSerials(r store.Reader, after *big.Int, limit int) ([]*big.Int, error) {
	start, end := v.space.AllRevoked(octetsOf(after))
	return serials(r, start, end, limit, v.space.RevokedSerial)
}

// RevokedCount is how many revocations are stored; it is kept, not counted.
func (v Inventory) RevokedCount(r store.Reader) (int64, error) {
	return r.Count(v.space.RevokedCount())
}

// Compromised reports whether a certificate for this public key, given as the
// SHA-256 of its SubjectPublicKeyInfo, was revoked for key compromise, in this
// mount or another.
func Compromised(r store.Reader, spki [32]byte) (bool, error) {
	_, err := r.Get(store.Compromised(spki))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
