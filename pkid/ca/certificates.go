package ca

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// record is what is kept of a certificate beside itself.
type record struct {
	Issuer    string `json:"issuer"`
	Role      string `json:"role,omitempty"`
	Requester string `json:"requester,omitempty"`
	IssuedAt  int64  `json:"issued_at"` // seconds since 1970
}

// recordVersion is the first octet of a stored certificate.
const recordVersion = 1

// putCertificate writes a certificate with its index entry. A serial number
// that is there already would be a fault: 159 random bits do not meet.
func (a *Authority) putCertificate(tx store.Tx, der []byte, cert *x509.Certificate, r *record) error {
	serial := cert.SerialNumber.Bytes()
	key := a.space.Certificate(serial)
	if _, err := tx.Get(key); err == nil {
		return fmt.Errorf("serial number %s is in use", issuance.FormatSerial(cert.SerialNumber))
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	meta, err := json.Marshal(r)
	if err != nil {
		return err
	}
	value := make([]byte, 0, 1+binary.MaxVarintLen32+len(meta)+len(der))
	value = binary.AppendUvarint(append(value, recordVersion), uint64(len(meta)))
	value = append(append(value, meta...), der...)
	if err := tx.Put(key, value); err != nil {
		return err
	}
	if err := tx.Put(a.space.Expiry(cert.NotAfter, serial), nil); err != nil {
		return err
	}
	return tx.Add(a.space.CertificateCount(), 1)
}

// stored splits what putCertificate wrote. The certificate is a part of value.
func stored(value []byte) (r *record, der []byte, err error) {
	if len(value) == 0 || value[0] != recordVersion {
		return nil, nil, errors.New("a stored certificate is of a later version of this program, or damaged")
	}
	size, n := binary.Uvarint(value[1:])
	if n <= 0 || size > uint64(len(value)-1-n) {
		return nil, nil, errors.New("a stored certificate is damaged")
	}
	meta, der := value[1+n:1+n+int(size)], value[1+n+int(size):]
	r = new(record)
	return r, der, json.Unmarshal(meta, r)
}

// Certificate gives the DER of a stored certificate by its serial number in
// hexadecimal with or without colons or dashes, or ErrNotFound.
func (a *Authority) Certificate(ctx context.Context, serial string) ([]byte, error) {
	number, err := issuance.ParseSerial(serial)
	if err != nil {
		return nil, err
	}
	var der []byte
	err = a.cfg.Store.View(ctx, func(r store.Reader) error {
		value, err := r.Get(a.space.Certificate(number.Bytes()))
		if errors.Is(err, store.ErrNotFound) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		_, der, err = stored(value)
		der = bytes.Clone(der)
		return err
	})
	return der, err
}

// Serials lists at most limit serial numbers of stored certificates in order,
// those after the given one if it is not empty. A limit of 0 is none.
func (a *Authority) Serials(ctx context.Context, after string, limit int) ([]string, error) {
	var from []byte
	if after != "" {
		number, err := issuance.ParseSerial(after)
		if err != nil {
			return nil, err
		}
		from = number.Bytes()
	}
	out := []string{}
	start, end := a.space.Certificates(from)
	err := a.cfg.Store.View(ctx, func(r store.Reader) error {
		return r.Scan(start, end, func(key, _ []byte) error {
			out = append(out, issuance.FormatSerial(new(big.Int).SetBytes(a.space.Serial(key))))
			if limit > 0 && len(out) == limit {
				return store.ErrStop
			}
			return nil
		})
	})
	return out, err
}

// Count is how many certificates are stored; it is kept, not counted.
func (a *Authority) Count(ctx context.Context) (int64, error) {
	var n int64
	err := a.cfg.Store.View(ctx, func(r store.Reader) error {
		var err error
		n, err = r.Count(a.space.CertificateCount())
		return err
	})
	return n, err
}
