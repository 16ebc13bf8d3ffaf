package ca

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"math/big"
	"time"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// putCertificate keeps a certificate that an issuer of this mount has signed.
func (a *Authority) putCertificate(tx store.Tx, issuer *Issuer, der []byte, cert *x509.Certificate, now time.Time, role, requester string) error {
	return a.inventory.Put(tx, &inventory.Certificate{
		DER: der, Issuer: issuer.ID, Group: issuer.group, Role: role, Requester: requester, IssuedAt: now,
	}, cert)
}

// Stored is a certificate that is kept, and whether it is revoked.
type Stored struct {
	DER       []byte
	IssuerID  string
	RevokedAt time.Time // zero: it is not
}

// Certificate finds a stored certificate by its serial number in hexadecimal
// with or without colons or dashes, or gives ErrNotFound.
func (a *Authority) Certificate(ctx context.Context, serial string) (*Stored, error) {
	number, err := issuance.ParseSerial(serial)
	if err != nil {
		return nil, refuse("%v", err)
	}
	out := new(Stored)
	err = a.cfg.Store.View(ctx, func(r store.Reader) error {
		c, err := a.inventory.Get(r, number)
		if errors.Is(err, store.ErrNotFound) || err == nil && c.DER == nil {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		out.DER, out.IssuerID = bytes.Clone(c.DER), c.Issuer
		revocation, err := a.inventory.Revocation(r, number)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err == nil {
			out.RevokedAt = revocation.At
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Serials lists at most limit serial numbers of stored certificates in order,
// those after the given one if it is not empty. A limit of 0 is none.
func (a *Authority) Serials(ctx context.Context, after string, limit int) ([]string, error) {
	return a.serials(ctx, after, limit, a.inventory.Serials)
}

// RevokedSerials is Serials for revoked certificates, stored or not.
func (a *Authority) RevokedSerials(ctx context.Context, after string, limit int) ([]string, error) {
	return a.serials(ctx, after, limit, a.inventory.RevokedSerials)
}

func (a *Authority) serials(ctx context.Context, after string, limit int, list func(store.Reader, *big.Int, int) ([]*big.Int, error)) ([]string, error) {
	var from *big.Int
	if after != "" {
		var err error
		if from, err = issuance.ParseSerial(after); err != nil {
			return nil, refuse("after: %v", err)
		}
	}
	out := []string{}
	err := a.cfg.Store.View(ctx, func(r store.Reader) error {
		numbers, err := list(r, from, limit)
		for _, n := range numbers {
			out = append(out, issuance.FormatSerial(n))
		}
		return err
	})
	return out, err
}

// Count is how many certificates are stored; it is kept, not counted.
func (a *Authority) Count(ctx context.Context) (int64, error) {
	var n int64
	err := a.cfg.Store.View(ctx, func(r store.Reader) error {
		var err error
		n, err = a.inventory.Count(r)
		return err
	})
	return n, err
}
