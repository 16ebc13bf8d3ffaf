package store

// The counts of a mount are kept with Tx.Add, so that they never make two
// writers conflict.

// CertificateCount is how many certificates are stored.
func (k Keyspace) CertificateCount() []byte { return k.key("count/certs") }

// RevokedCount is how many revocations are stored.
func (k Keyspace) RevokedCount() []byte { return k.key("count/revoked") }

// EntryCount is how many CRL entries a group has.
func (k Keyspace) EntryCount(group string) []byte { return k.key("count/entries/" + group) }

// ChangeCount grows with each change of what a group's CRL would say.
func (k Keyspace) ChangeCount(group string) []byte { return k.key("count/changes/" + group) }
