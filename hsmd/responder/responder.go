// Package responder keeps the keys of delegated OCSP responders (RFC 6960,
// section 4.2.2.2): P-256 keys that hsmd makes and that exist in its memory
// alone. They are never stored and never given out, and a restart ends them.
//
// Each belongs to one key pair of a managed key, whose CA certifies it. The
// package knows no peer and no rule about what may be signed; hsmd/server asks
// those first. Start with [Table].
package responder

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"sync"
	"time"
)

// Rotation is the age at which [Table.Make] makes the next key. The one before
// it stays until the one after it, so a key that Make has answered signs for
// Rotation at least from then on, which is as long as a certificate for it may
// be valid.
const Rotation = 7 * 24 * time.Hour

// maxOwners bounds the table. Beyond it the owner goes that was asked for
// longest ago; whoever signs for it is told that the key changed, and asks anew.
const maxOwners = 1024

// ID is the SHA-256 of a SubjectPublicKeyInfo.
type ID = [sha256.Size]byte

// Key is one responder's key.
type Key struct {
	// SPKI is the DER of the SubjectPublicKeyInfo, ID its SHA-256.
	SPKI []byte
	ID   ID
	// Owner is the key pair, by its ID, of the managed key that this key
	// belongs to.
	Owner ID

	private *ecdsa.PrivateKey
	made    time.Time
}

// Table holds the responders' keys by the name of the managed key. Its methods
// may be called by many goroutines.
type Table struct {
	mu     sync.Mutex
	owners map[string]*owner
}

type owner struct {
	current, previous *Key
	asked             time.Time
}

// Make gives the responder's key of a managed key with this key pair, and makes
// it where there is none, or where it is due. Keys of another key pair under
// the same name are dropped.
func (t *Table) Make(name string, pair ID, now time.Time) (key *Key, made bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.owners[name]
	if o == nil || o.current.Owner != pair {
		o = &owner{}
	}
	if o.current == nil || now.Sub(o.current.made) >= Rotation {
		if key, err = generate(pair, now); err != nil {
			return nil, false, err
		}
		o.current, o.previous, made = key, o.current, true
	}
	o.asked = now
	t.keep(name, o)
	return o.current, made, nil
}

// keep puts an owner into the table, and another out of it where it is full.
func (t *Table) keep(name string, o *owner) {
	if t.owners == nil {
		t.owners = map[string]*owner{}
	}
	if _, there := t.owners[name]; !there && len(t.owners) >= maxOwners {
		oldest := ""
		for other, held := range t.owners {
			if oldest == "" || held.asked.Before(t.owners[oldest].asked) {
				oldest = other
			}
		}
		delete(t.owners, oldest)
	}
	t.owners[name] = o
}

// Find gives the responder's key of a managed key that has this ID, or nil.
func (t *Table) Find(name string, id []byte) *Key {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.owners[name]
	if o == nil {
		return nil
	}
	for _, k := range []*Key{o.current, o.previous} {
		if k != nil && string(k.ID[:]) == string(id) {
			return k
		}
	}
	return nil
}

// Forget drops the keys of a managed key whose definition is no more.
func (t *Table) Forget(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.owners, name)
}

func generate(pair ID, now time.Time) (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return nil, err
	}
	return &Key{SPKI: spki, ID: sha256.Sum256(spki), Owner: pair, private: private, made: now}, nil
}

// Sign signs a SHA-256 digest, as the DER of ECDSA-Sig-Value, and verifies the
// signature before it gives it out: a fault while signing can give the key away.
func (k *Key) Sign(digest []byte) ([]byte, error) {
	signature, err := ecdsa.SignASN1(rand.Reader, k.private, digest)
	if err != nil {
		return nil, err
	}
	if !ecdsa.VerifyASN1(&k.private.PublicKey, digest, signature) {
		return nil, errors.New("the signature does not verify")
	}
	return signature, nil
}
