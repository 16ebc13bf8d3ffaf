package issuance

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Revoked is one entry of a CRL.
type Revoked struct {
	SerialNumber *big.Int
	RevokedAt    time.Time
	// Reason is a CRLReason (RFC 5280, section 5.3.1); 0 leaves it out.
	Reason int
	// InvalidSince is the invalidity date (section 5.3.2); zero leaves it out.
	InvalidSince time.Time
}

var (
	oidReasonCode     = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidInvalidityDate = asn1.ObjectIdentifier{2, 5, 29, 24}
)

// EncodeRevoked gives the DER of an entry, as it stands in revokedCertificates
// (RFC 5280, section 5.1.2.6). Entries are kept in this form, so that making a
// CRL of them is a copy.
func EncodeRevoked(r Revoked) ([]byte, error) {
	if r.SerialNumber == nil || r.SerialNumber.Sign() <= 0 {
		return nil, fmt.Errorf("CRL entry: the serial number must be positive")
	}
	if r.Reason < 0 || r.Reason >= len(reasons) || reasons[r.Reason] == "" {
		return nil, fmt.Errorf("CRL entry: there is no reason %d", r.Reason)
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, 64))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(r.SerialNumber)
		addTime(b, r.RevokedAt)
		if r.Reason == 0 && r.InvalidSince.IsZero() {
			return
		}
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if r.Reason != 0 {
				addEntryExtension(b, oidReasonCode, func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(r.Reason)) })
			}
			if !r.InvalidSince.IsZero() {
				// GeneralizedTime, whatever the year.
				addEntryExtension(b, oidInvalidityDate, func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(r.InvalidSince.UTC()) })
			}
		})
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("CRL entry: %w", err)
	}
	return der, nil
}

// EncodeEntry gives the DER of an entry with extensions that are encoded
// already.
func EncodeEntry(serial *big.Int, revokedAt time.Time, extensions []pkix.Extension) ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 64))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(serial)
		addTime(b, revokedAt)
		if len(extensions) > 0 {
			addExtensionSequence(b, extensions)
		}
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("CRL entry: %w", err)
	}
	return der, nil
}

// addEntryExtension writes an extension that is not critical, as all of an
// entry's are here.
func addEntryExtension(b *cryptobyte.Builder, id asn1.ObjectIdentifier, value cryptobyte.BuilderContinuation) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		b.AddASN1(cbasn1.OCTET_STRING, value)
	})
}
