package store

import (
	"encoding/binary"
	"time"
)

// Every key of the state is made here; README.md lists them with their values.
// A mount's data lies under its UUID, so that moving a mount is one write and
// two mounts never see each other's.

// Mount is where the record of a mount lies.
func Mount(uuid string) []byte { return []byte("mount/" + uuid) }

// Mounts bounds the records of all mounts.
func Mounts() (start, end []byte) { return bounds([]byte("mount/")) }

// Unmounted marks a mount whose data is still to be deleted.
func Unmounted(uuid string) []byte { return []byte("unmounted/" + uuid) }

// AllUnmounted bounds these marks.
func AllUnmounted() (start, end []byte) { return bounds([]byte("unmounted/")) }

// Keyspace makes the keys of one mount's data.
type Keyspace string

// Of gives the keyspace of the mount with this UUID.
func Of(uuid string) Keyspace { return Keyspace("pki/" + uuid + "/") }

// All bounds everything in it.
func (k Keyspace) All() (start, end []byte) { return bounds([]byte(k)) }

// Settings is where defaults and URLs lie.
func (k Keyspace) Settings() []byte { return []byte(string(k) + "settings") }

// Issuer is where an issuer lies.
func (k Keyspace) Issuer(id string) []byte { return []byte(string(k) + "issuer/" + id) }

// Issuers bounds all issuers.
func (k Keyspace) Issuers() (start, end []byte) { return bounds([]byte(string(k) + "issuer/")) }

// Key is where a key entry lies.
func (k Keyspace) Key(id string) []byte { return []byte(string(k) + "key/" + id) }

// Keys bounds all key entries.
func (k Keyspace) Keys() (start, end []byte) { return bounds([]byte(string(k) + "key/")) }

// Role is where a role lies.
func (k Keyspace) Role(name string) []byte { return []byte(string(k) + "role/" + name) }

// Roles bounds all roles.
func (k Keyspace) Roles() (start, end []byte) { return bounds([]byte(string(k) + "role/")) }

// CRL is where an issuer's complete CRL lies.
func (k Keyspace) CRL(issuer string) []byte { return []byte(string(k) + "crl/" + issuer) }

// Certificate is where a certificate lies, by the octets of its serial number.
func (k Keyspace) Certificate(serial []byte) []byte {
	return append([]byte(string(k)+"cert/"), serial...)
}

// Certificates bounds all certificates, or those after a serial number.
func (k Keyspace) Certificates(after []byte) (start, end []byte) {
	start, end = bounds([]byte(string(k) + "cert/"))
	if after != nil {
		start = append(k.Certificate(after), 0)
	}
	return start, end
}

// Serial takes the serial number out of a certificate's key.
func (k Keyspace) Serial(key []byte) []byte { return key[len(k)+len("cert/"):] }

// Expiry is an entry of the index by notAfter: seconds since 1970, big endian
// with the sign bit turned, so that the order is that of time.
func (k Keyspace) Expiry(notAfter time.Time, serial []byte) []byte {
	key := binary.BigEndian.AppendUint64([]byte(string(k)+"expiry/"), uint64(notAfter.Unix())^1<<63)
	return append(key, serial...)
}

// CertificateCount is where the number of stored certificates is kept.
func (k Keyspace) CertificateCount() []byte { return []byte(string(k) + "count/certs") }

// bounds is the range of keys with a prefix.
func bounds(prefix []byte) (start, end []byte) {
	end = append([]byte(nil), prefix...)
	end[len(end)-1]++ // "/" is not 0xff
	return prefix, end
}
