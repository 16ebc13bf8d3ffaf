package issuance

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
)

// serialOctets is how long a serial number is; RFC 5280, section 4.1.2.2 allows no more.
const serialOctets = 20

// NewSerial draws a serial number for a certificate that is to be prepared.
func NewSerial() (*big.Int, error) { return newSerial(rand.Reader) }

// serialOr is the serial number that a request brings, or one that is drawn.
func serialOr(given *big.Int) (*big.Int, error) {
	if given == nil {
		return NewSerial()
	}
	if given.Sign() <= 0 || given.BitLen() > 8*serialOctets-1 {
		return nil, errors.New("a serial number is positive, and of at most 159 bits")
	}
	return given, nil
}

// newSerial draws a positive serial number of 159 random bits.
func newSerial(random io.Reader) (*big.Int, error) {
	var b [serialOctets]byte
	for {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return nil, fmt.Errorf("draw a serial number: %w", err)
		}
		b[0] &= 0x7f // else DER would need a 21st octet
		if n := new(big.Int).SetBytes(b[:]); n.Sign() > 0 {
			return n, nil
		}
	}
}

// FormatSerial writes a serial number as the API and the logs show it: pairs
// of lower-case hexadecimal digits between colons, without leading zero octets.
func FormatSerial(serial *big.Int) string {
	octets := serial.Bytes()
	if len(octets) == 0 {
		return "00"
	}
	text := make([]byte, 0, 3*len(octets))
	for i, o := range octets {
		if i > 0 {
			text = append(text, ':')
		}
		text = hex.AppendEncode(text, []byte{o})
	}
	return string(text)
}

// ParseSerial reads what FormatSerial writes, and what people type: either
// case, "-" for ":", or no separator at all. Negative numbers and those of more
// than 20 octets are refused.
func ParseSerial(text string) (*big.Int, error) {
	pairs := text
	if strings.ContainsAny(text, ":-") {
		fields := strings.FieldsFunc(text, func(r rune) bool { return r == ':' || r == '-' })
		if len(fields)-1 != strings.Count(text, ":")+strings.Count(text, "-") {
			return nil, errors.New("serial number: empty octet")
		}
		for _, f := range fields {
			if len(f) != 2 {
				return nil, fmt.Errorf("serial number: %q is not an octet of two hexadecimal digits", f)
			}
		}
		pairs = strings.Join(fields, "")
	}
	octets, err := hex.DecodeString(pairs)
	if err != nil {
		return nil, errors.New("serial number: not hexadecimal octets")
	}
	if len(octets) == 0 || len(octets) > serialOctets {
		return nil, fmt.Errorf("serial number: %d octets, where 1 to %d are possible", len(octets), serialOctets)
	}
	return new(big.Int).SetBytes(octets), nil
}
