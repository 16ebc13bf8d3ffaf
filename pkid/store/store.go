// Package store is pkid's state: an ordered key-value store behind one small
// interface, and the map of keys (keyspace.go). What is stored under which key
// is in README.md. The package knows nothing of certificates; values belong to
// the packages that own them.
package store

import (
	"context"
	"errors"
)

// ErrNotFound is returned by Get for a key that is not there.
var ErrNotFound = errors.New("store: key not found")

// ErrReadOnly, wrapped with the cause, is returned by Update once the engine
// has failed to make a change durable (a full disk, an I/O error). Reads go on.
// The update that met the failure may or may not be found when the store is
// opened again; nobody has seen it until then.
var ErrReadOnly = errors.New("store: read-only after a write failure")

// ErrDiskFull is returned by Update while the free space left to the engine is
// below its floor. It goes away by itself once there is space again.
var ErrDiskFull = errors.New("store: too little free disk space")

// ErrClosed is returned by View and Update after Close.
var ErrClosed = errors.New("store: closed")

// Store is an ordered key-value store.
//
// Updates are atomic and serializable: each sees the result of all that
// committed before it and of none other. Update returns nil only when the
// change is durable, and nobody, in View or in Update, sees a change that a
// crash could take back.
//
// A key begins with an octet other than 0: the empty key and those that begin
// with 0 are the engine's own, and refused. A key holds either a value, set by
// Put, or a count, kept by Add. Get and Scan show a count as eight octets,
// big-endian, two's complement.
type Store interface {
	// View runs fn on a consistent, durable state. What fn is given is valid
	// until fn returns.
	View(ctx context.Context, fn func(Reader) error) error
	// Update runs fn and commits what it wrote. On a conflict fn runs again,
	// so it must have no effect but on tx. An error from fn aborts the update
	// and is returned as it is. An error of ctx means that nothing was written.
	// fn must not call the Store.
	Update(ctx context.Context, fn func(tx Tx) error) error
	// Writable says without trying whether Update would be refused now: it is
	// nil, or an error that wraps ErrReadOnly, ErrDiskFull or ErrClosed. Who is
	// about to do what cannot be undone (a signature) asks here first.
	Writable() error
	// Close waits for updates under way and releases the engine.
	Close() error
}

// Reader reads one consistent state.
type Reader interface {
	// Get returns the value under key, or ErrNotFound. The value is the
	// caller's to keep, not to change.
	Get(key []byte) ([]byte, error)
	// Count returns the count kept under key by Tx.Add, 0 if there is none, and
	// an error if the key holds anything else.
	Count(key []byte) (int64, error)
	// Scan calls fn for each key in [start, end) in ascending byte order,
	// until fn returns an error, which Scan returns; ErrStop ends it without
	// one. Key and value are valid until fn returns. A nil end means no end.
	Scan(start, end []byte, fn func(key, value []byte) error) error
}

// ErrStop, returned by the function given to Scan, ends the scan.
var ErrStop = errors.New("store: stop scan")

// Tx reads one consistent state and gathers changes to it; it sees its own,
// but a Scan under way need not see changes made since it began. A Tx serves
// one goroutine.
type Tx interface {
	Reader
	// Put sets the value under key; it keeps neither slice.
	Put(key, value []byte) error
	// Delete removes key; it is no error if it is not there.
	Delete(key []byte) error
	// Add adds delta to the count under key, which begins at 0. Adds commute:
	// two updates that only Add to a key never conflict over it, but one that
	// reads the count, by Count, Get or a Scan that passes it, does.
	Add(key []byte, delta int64) error
}
