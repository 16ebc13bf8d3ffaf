package tbs

import (
	"bytes"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
)

// Object identifiers of the extensions of CRLs and of their entries (RFC 5280,
// sections 5.2 and 5.3), contents octets.
const (
	idCRLNumber         = "\x55\x1d\x14"
	idReasonCode        = "\x55\x1d\x15"
	idInvalidityDate    = "\x55\x1d\x18"
	idDeltaCRLIndicator = "\x55\x1d\x1b"
	idCertificateIssuer = "\x55\x1d\x1d"
)

// listExtensions checks what relying parties go by: the CRL number, which each
// CRL must have (section 5.2.3), and the mark of a delta CRL, which nobody may
// overlook and whose base came before (section 5.2.4).
func listExtensions(extensions []Extension) error {
	var number, base []byte
	for i := range extensions {
		e := &extensions[i]
		switch string(e.ID) {
		case idCRLNumber:
			var ok bool
			if number, ok = listNumber(e.Value); !ok || e.Critical {
				return malformed("has a malformed CRL number")
			}
		case idDeltaCRLIndicator:
			var ok bool
			if base, ok = listNumber(e.Value); !ok || !e.Critical {
				return malformed("has a malformed delta CRL indicator")
			}
		}
	}
	if number == nil {
		return forbidden("has no CRL number")
	}
	if base != nil && (len(base) > len(number) || len(base) == len(number) && bytes.Compare(base, number) >= 0) {
		return forbidden("is a delta CRL whose base is not before it")
	}
	return nil
}

// listNumber reads a CRL number: not negative, of at most 20 octets. It gives
// them without leading zeros, and not nil.
func listNumber(value []byte) ([]byte, bool) {
	in := cryptobyte.String(value)
	body, ok := take(&in, tagInteger)
	if !ok || !in.Empty() || !integer(body) || body[0]&0x80 != 0 || len(body) > 20 {
		return nil, false
	}
	return append([]byte{}, bytes.TrimLeft(body, "\x00")...), true
}

// Number is a CRL's number in decimal; "": the message has none.
func (s *Summary) Number() string { return s.listNumber(idCRLNumber) }

// Base is the number of the CRL that a delta CRL goes on from; "": it is none.
func (s *Summary) Base() string { return s.listNumber(idDeltaCRLIndicator) }

func (s *Summary) listNumber(id string) string {
	value, ok := s.extension(id)
	if !ok || s.Kind != RevocationList {
		return ""
	}
	number, _ := listNumber(value) // checked when it was read
	return new(big.Int).SetBytes(number).String()
}

// entryExtension checks one extension of an entry, as far as it is known here,
// and notes the reason.
func entryExtension(e *Extension, reason *uint8) error {
	in := cryptobyte.String(e.Value)
	switch string(e.ID) {
	case idReasonCode:
		value, ok := take(&in, tagEnumerated)
		if !ok || !in.Empty() || e.Critical || len(value) != 1 || value[0] > 10 || value[0] == 7 {
			return malformed("has a revoked certificate with a malformed reason")
		}
		*reason = value[0]
	case idInvalidityDate:
		date, ok := take(&in, tagGeneralized)
		if ok {
			_, ok = generalizedTime(date)
		}
		if !ok || !in.Empty() || e.Critical {
			return malformed("has a revoked certificate with a malformed invalidity date")
		}
	case idCertificateIssuer:
		return forbidden("has a revoked certificate of another issuer (an indirect CRL)")
	}
	return nil
}
