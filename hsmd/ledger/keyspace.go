package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"
)

// What is stored, by the first octet of the key. issuer and name are 16 octets
// of a SHA-256, serial is as [appendSerial] makes it; numbers are varints, times
// seconds since 1970 as signed ones.
//
//	F                                format number
//	H hash, key hash, name hash      issuer: whom an OCSP CertID means
//	A sum                            an approved message that has overridden a rule
//	I issuer serial                  notAfter, 20 octets of the sum: an issued certificate
//	N name                           last CRL number, its sum
//	P                                position in the log up to which all is here, 8 octets; then what hsmd counts of the day
//	R issuer serial                  CRL number, notAfter or nothing: revoked in a signed CRL since that number
const (
	spaceApproved = 'A'
	spaceHashes   = 'H'
	spaceIssued   = 'I'
	spaceNumbers  = 'N'
	spaceRevoked  = 'R'
)

var (
	formatKey   = []byte("F")
	positionKey = []byte("P")
)

// keptSum is how much of a sum is kept of each certificate. Two certificates
// alike in 160 bits are as hard to make as a collision of SHA-1 should be.
const keptSum = 20

// digest names an issuer or a name in keys.
type digest [16]byte

func issuedKey(issuer digest, serial []byte) []byte {
	return appendSerial(append([]byte{spaceIssued}, issuer[:]...), serial)
}

func revokedKey(issuer digest, serial []byte) []byte {
	return appendSerial(append([]byte{spaceRevoked}, issuer[:]...), serial)
}

func revokedBounds(issuer digest) (lower, upper []byte) {
	lower = append([]byte{spaceRevoked}, issuer[:]...)
	upper = bytes.Clone(lower)
	for i := len(upper) - 1; ; i-- {
		if upper[i]++; upper[i] != 0 {
			return lower, upper
		}
	}
}

func numberKey(name digest) []byte { return append([]byte{spaceNumbers}, name[:]...) }

func overrideKey(sum *Sum) []byte { return append([]byte{spaceApproved}, sum[:]...) }

func hashesKey(hash string, keyHash, nameHash []byte) []byte {
	key := append([]byte{spaceHashes}, hash...)
	return append(append(key, keyHash...), nameHash...)
}

// appendSerial appends the contents octets of a serial number so that positive
// ones are in order of their octets, without the zero that DER has before a set
// high bit. Ones that are not positive, which only a foreign CA gives, are kept
// apart.
func appendSerial(key, octets []byte) []byte {
	switch {
	case len(octets) > 1 && octets[0] == 0:
		octets = octets[1:]
	case len(octets) > 0 && octets[0]&0x80 != 0:
		key = append(key, 1)
		return append(key, octets...)
	}
	return append(append(key, 0), octets...)
}

// serialOf gives back the contents octets.
func serialOf(kept []byte) []byte {
	if len(kept) > 1 && kept[0] == 0 && kept[1]&0x80 != 0 {
		return kept // the sign's octet is DER's zero
	}
	return kept[1:]
}

var errDamaged = errors.New("the ledger is damaged")

func issuedValue(notAfter time.Time, sum *Sum) []byte {
	return append(binary.AppendVarint(nil, notAfter.Unix()), sum[:keptSum]...)
}

func readIssued(value []byte) (notAfter time.Time, sum []byte, err error) {
	seconds, n := binary.Varint(value)
	if n <= 0 || len(value) != n+keptSum {
		return time.Time{}, nil, errDamaged
	}
	return time.Unix(seconds, 0), value[n:], nil
}

func revokedValue(number uint64, notAfter time.Time) []byte {
	value := binary.AppendUvarint(nil, number)
	if !notAfter.IsZero() {
		value = binary.AppendVarint(value, notAfter.Unix())
	}
	return value
}

// readRevoked gives no notAfter where it was not known.
func readRevoked(value []byte) (number uint64, notAfter time.Time, err error) {
	number, n := binary.Uvarint(value)
	if n <= 0 {
		return 0, time.Time{}, errDamaged
	}
	if len(value) == n {
		return number, time.Time{}, nil
	}
	seconds, m := binary.Varint(value[n:])
	if m <= 0 || len(value) != n+m {
		return 0, time.Time{}, errDamaged
	}
	return number, time.Unix(seconds, 0), nil
}

func numberValue(number uint64, sum *Sum) []byte {
	return append(binary.AppendUvarint(nil, number), sum[:]...)
}

func readNumber(value []byte) (number uint64, sum []byte, err error) {
	number, n := binary.Uvarint(value)
	if n <= 0 || len(value) != n+len(Sum{}) {
		return 0, nil, errDamaged
	}
	return number, value[n:], nil
}
