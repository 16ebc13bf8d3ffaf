package inventory

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// Forget deletes a certificate, stored or not, with its indexes. Its
// revocation stays. It is no error if there is none.
func (v Inventory) Forget(tx store.Tx, serial *big.Int) error {
	c, err := v.Get(tx, serial)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	octets := serial.Bytes()
	if c.DER == nil {
		if err := tx.Delete(v.space.Unstored(octets)); err != nil {
			return err
		}
		return tx.Delete(v.space.UnstoredByExpiry().Entry(c.NotAfter, octets))
	}
	parsed, err := x509.ParseCertificate(c.DER)
	if err != nil {
		return fmt.Errorf("a stored certificate: %w", err)
	}
	if err := tx.Delete(v.space.Certificate(octets)); err != nil {
		return err
	}
	for _, e := range v.entries(c.Issuer, c.Role, parsed) {
		if err := tx.Delete(e.key); err != nil {
			return err
		}
	}
	return tx.Add(v.space.CertificateCount(), -1)
}

// ForgetRevocation deletes a revocation and its CRL entry: later CRLs do not
// have it. What is remembered of a compromised key stays. It is no error if
// there is none.
func (v Inventory) ForgetRevocation(tx store.Tx, serial *big.Int) error {
	r, err := v.Revocation(tx, serial)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	octets := serial.Bytes()
	for _, key := range [][]byte{v.space.Revoked(octets), v.space.ByRevocation().Entry(r.NotAfter, octets), v.space.CRLEntry(string(r.Group), octets)} {
		if err := tx.Delete(key); err != nil {
			return err
		}
	}
	if err := tx.Add(v.space.RevokedCount(), -1); err != nil {
		return err
	}
	if err := tx.Add(v.space.EntryCount(string(r.Group)), -1); err != nil {
		return err
	}
	return tx.Add(v.space.ChangeCount(string(r.Group)), 1)
}
