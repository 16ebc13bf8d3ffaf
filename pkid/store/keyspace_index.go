package store

import (
	"encoding/binary"
	"time"
)

// The indexes over a mount's certificates. Their keys end in the certificate's
// end and its serial number, so that each is in order of time, and a range of
// time is a range of keys.

// timeOctets is the length of a time in a key.
const timeOctets = 8

// timeKey is a time in a key: seconds since 1970, big endian with the sign bit
// turned, so that the order of keys is that of time.
func timeKey(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(t.Unix())^1<<63)
}

// Index is one index of a mount's certificates: a range of keys of which each
// ends in a certificate's end and serial number.
type Index []byte

// ByExpiry is the index of stored certificates by their end.
func (k Keyspace) ByExpiry() Index { return k.key("index/expiry/") }

// ByIssuer is the index of an issuer's stored certificates.
func (k Keyspace) ByIssuer(id string) Index { return k.key("index/issuer/" + id + "/") }

// ByRole is the index of the stored certificates issued under a role. The name
// of a role has no octet 0.
func (k Keyspace) ByRole(name string) Index { return k.key("index/role/" + name + "\x00") }

// ByName is the index of the stored certificates that have a name in them, in
// the form that package inventory gives names.
func (k Keyspace) ByName(name string) Index { return k.key("index/name/" + name + "\x00") }

// Names bounds the keys of all names that begin so, whatever their times.
func (k Keyspace) Names(prefix string) (start, end []byte) {
	return below(k.key("index/name/" + prefix))
}

// ByRevocation is the index of revoked certificates, stored or not, by their
// end.
func (k Keyspace) ByRevocation() Index { return k.key("index/revoked/") }

// UnstoredByExpiry is the index by their end of what Unstored keeps.
func (k Keyspace) UnstoredByExpiry() Index { return k.key("index/unstored/") }

// Entry is a certificate's key in the index.
func (i Index) Entry(notAfter time.Time, serial []byte) []byte {
	key := append(make([]byte, 0, len(i)+timeOctets+len(serial)), i...)
	return append(append(key, timeKey(notAfter)...), serial...)
}

// Between bounds the certificates that end at or after from and before to; a
// zero time is no bound.
func (i Index) Between(from, to time.Time) (start, end []byte) {
	start, end = bounds(append([]byte(nil), i...))
	if !from.IsZero() {
		start = i.Entry(from, nil)
	}
	if !to.IsZero() {
		end = i.Entry(to, nil)
	}
	return start, end
}

// SplitEntry takes the end and the serial number out of an index's key, given
// the length of what stands before them; false for a key that is too short.
func SplitEntry(key []byte, prefix int) (notAfter time.Time, serial []byte, ok bool) {
	if len(key) < prefix+timeOctets+1 {
		return time.Time{}, nil, false
	}
	seconds := int64(binary.BigEndian.Uint64(key[prefix:]) ^ 1<<63)
	return time.Unix(seconds, 0).UTC(), key[prefix+timeOctets:], true
}
