package ca

import (
	"context"
	"errors"
	"math/big"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

// Draw is what an act takes besides what was asked: the time, a serial number,
// and the UUID of an issuer that it makes. With the same Draw the same request
// comes to the same bytes, as long as nothing that it depends on has changed.
type Draw struct {
	Now    time.Time
	Serial *big.Int
	New    string
}

// NewDraw draws.
func NewDraw(now time.Time) (Draw, error) {
	serial, err := issuance.NewSerial()
	return Draw{Now: now, Serial: serial, New: newID()}, err
}

// or draws what is missing: not everybody wants to ask again.
func (d Draw) or(now func() time.Time) Draw {
	if d.Now.IsZero() {
		d.Now = now()
	}
	if d.New == "" {
		d.New = newID()
	}
	return d
}

// Issued tells whether the certificate with this serial number is there.
func (a *Authority) Issued(ctx context.Context, serial *big.Int) (*Stored, error) {
	stored, err := a.Certificate(ctx, issuance.FormatSerial(serial))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return stored, err
}
