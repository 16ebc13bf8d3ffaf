package store

// Every key of the state is made here; README.md lists them with their values.
// A mount's data lies under its UUID, so that moving a mount is one write and
// two mounts never see each other's.

// Cluster is where the id of this state lies.
func Cluster() []byte { return []byte("cluster") }

// Mount is where the record of a mount lies.
func Mount(uuid string) []byte { return []byte("mount/" + uuid) }

// Mounts bounds the records of all mounts.
func Mounts() (start, end []byte) { return bounds([]byte("mount/")) }

// Unmounted marks a mount whose data is still to be deleted.
func Unmounted(uuid string) []byte { return []byte("unmounted/" + uuid) }

// AllUnmounted bounds these marks.
func AllUnmounted() (start, end []byte) { return bounds([]byte("unmounted/")) }

// Pending is where a request lies that waits for approval.
func Pending(id string) []byte { return []byte("pending/" + id) }

// AllPending bounds them.
func AllPending() (start, end []byte) { return bounds([]byte("pending/")) }

// Policy is where the text of a policy lies.
func Policy(name string) []byte { return []byte("policy/" + name) }

// Policies bounds all of them.
func Policies() (start, end []byte) { return bounds([]byte("policy/")) }

// Compromised marks a public key, by the SHA-256 of its SubjectPublicKeyInfo,
// of which a certificate was revoked for key compromise. That others have the
// private key is so whichever mount heard of it, and when that mount is gone.
func Compromised(spki [32]byte) []byte { return append([]byte("compromised/"), spki[:]...) }

// AuditKey is where the key of the audit log's HMACs lies.
func AuditKey() []byte { return []byte("audit/key") }

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

// Certificate is where a certificate lies, by the octets of its serial number.
func (k Keyspace) Certificate(serial []byte) []byte { return k.key("cert/", serial) }

// Certificates bounds all certificates, or those after a serial number.
func (k Keyspace) Certificates(after []byte) (start, end []byte) { return k.after("cert/", after) }

// CertificateSerial takes the serial number out of a certificate's key.
func (k Keyspace) CertificateSerial(key []byte) []byte { return key[len(k)+len("cert/"):] }

// Unstored is where it is kept that a serial number was given to a certificate
// that is not stored (no_store).
func (k Keyspace) Unstored(serial []byte) []byte { return k.key("unstored/", serial) }

// Revoked is where a certificate's revocation lies.
func (k Keyspace) Revoked(serial []byte) []byte { return k.key("revoked/", serial) }

// AllRevoked bounds all revocations, or those after a serial number.
func (k Keyspace) AllRevoked(after []byte) (start, end []byte) { return k.after("revoked/", after) }

// RevokedSerial takes the serial number out of a revocation's key.
func (k Keyspace) RevokedSerial(key []byte) []byte { return key[len(k)+len("revoked/"):] }

// Tidy is where the status of the last tidy is kept.
func (k Keyspace) Tidy() []byte { return k.key("tidy") }

// AutoTidy is where the configuration of auto-tidy is kept.
func (k Keyspace) AutoTidy() []byte { return k.key("autotidy") }

// key is a key of one of the mount's ranges.
func (k Keyspace) key(of string, rest ...[]byte) []byte {
	key := append(make([]byte, 0, len(k)+len(of)+64), k...)
	key = append(key, of...)
	for _, r := range rest {
		key = append(key, r...)
	}
	return key
}

// after bounds a range, or what is in it after one of its keys.
func (k Keyspace) after(of string, last []byte) (start, end []byte) {
	start, end = bounds(k.key(of))
	if last != nil {
		start = append(k.key(of, last), 0)
	}
	return start, end
}

// bounds is the range of keys with a prefix.
func bounds(prefix []byte) (start, end []byte) {
	end = append([]byte(nil), prefix...)
	end[len(end)-1]++ // "/" is not 0xff
	return prefix, end
}
