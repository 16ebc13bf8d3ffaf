// Package managedkey knows hsmd's managed keys: their definitions, who made
// them, the library that each is reached through, and the encrypted file in
// which those are kept that hsmd's configuration does not define.
//
// It opens no token and speaks to no worker: it holds the [wire.Service] of
// each library for whoever does. Start with [Key] and [Set]; [Store] is the
// file; rules for definitions that come over the wire are in wirerules.go.
package managedkey

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/hsmpki/hsmpki/wire"
)

// Library is one kms_library stanza with the service that answers for it.
type Library struct {
	// Name is what definitions call it by.
	Name string
	// Path is the shared object's.
	Path string
	// InitArgs, MaxSessions and KeyIDLength are the stanza's, for the worker.
	InitArgs    string
	MaxSessions int
	KeyIDLength int
	// Backend answers for the keys of this library.
	Backend wire.Service
}

// SameFile reports whether two stanzas load the same shared object, under
// whatever paths; then they show the same tokens.
func (l *Library) SameFile(other *Library) bool {
	if l == other || l.Path == other.Path {
		return true
	}
	a, errA := os.Stat(l.Path)
	b, errB := os.Stat(other.Path)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// Key is one managed key. What it was defined as never changes: a new
// definition is a new Key. What is known of the key pair is learned later, and
// is kept with [Key.Found].
type Key struct {
	// Definition is complete, with the PIN and the UUID.
	Definition wire.Definition
	// Source says who defined it.
	Source wire.Source
	// Owner is the user whose peer had an internal key made, and who may use
	// it whatever its grant names.
	Owner uint32
	// Library answers for the key. It is nil where the configuration does not
	// reach the key any more; Fault then says why.
	Library *Library
	Fault   string
	// Handle is what the backend knows this definition by. No other Key has it:
	// one that replaces this one leaves the requests alone that began with it.
	Handle string
	// Copies are set where the key pair is on more than one token. Libraries then
	// know the copies, and not the key itself; see [Key.Places].
	Copies []*Copy

	public atomic.Pointer[Public]
	last   atomic.Pointer[Public] // the last that was found
	told   atomic.Bool            // the backend has the definition as it is to be
	handed atomic.Bool            // the backend may have the definition
	turn   chan struct{}          // taken by who tells
	look   chan struct{}          // taken by who looks for the key pair
	turns  atomic.Uint64
}

// made counts the keys of this process, for their handles.
var made atomic.Uint64

// NewKey makes a Key.
func NewKey(d wire.Definition, source wire.Source, library *Library) *Key {
	return &Key{Definition: d, Source: source, Library: library, Handle: fmt.Sprintf("%s#%d", d.Name, made.Add(1)),
		turn: make(chan struct{}, 1), look: make(chan struct{}, 1)}
}

// Tell has the backend told of the definition, and once it succeeded not again
// until [Key.Untell]. One caller runs tell at a time.
func (k *Key) Tell(ctx context.Context, tell func() error) error {
	if k.told.Load() {
		return nil
	}
	return k.alone(ctx, k.turn, func() error {
		if k.told.Load() {
			return nil
		}
		k.handed.Store(true)
		if err := tell(); err != nil {
			return err
		}
		k.told.Store(true)
		return nil
	})
}

// Untell has the next Tell tell the backend again, of each of the places.
func (k *Key) Untell() {
	for _, place := range k.Places() {
		place.told.Store(false)
	}
}

// Handed reports whether the backend may have the definition, and is to be told
// when it is of no use any more.
func (k *Key) Handed() bool { return k.handed.Load() }

// Look runs do while nobody else looks for the key pair.
func (k *Key) Look(ctx context.Context, do func() error) error { return k.alone(ctx, k.look, do) }

func (k *Key) alone(ctx context.Context, lock chan struct{}, do func() error) error {
	select {
	case lock <- struct{}{}:
	case <-ctx.Done():
		return wire.Errorf(wire.Unavailable, "waiting for the library of %q: %v", k.Name(), ctx.Err())
	}
	defer func() { <-lock }()
	return do()
}

// Name is the definition's.
func (k *Key) Name() string { return k.Definition.Name }

// Public is what is known of the key pair, or nil.
func (k *Key) Public() *Public { return k.public.Load() }

// Found keeps what was learned of the key pair; nil forgets it.
func (k *Key) Found(p *Public) {
	if p != nil {
		k.last.Store(p)
	}
	k.public.Store(p)
}

// Turn counts up, for whoever chooses between the copies.
func (k *Key) Turn() uint64 { return k.turns.Add(1) }

// Last is the key pair that was found last, also when it is forgotten or gone.
func (k *Key) Last() *Public { return k.last.Load() }

// Signs reports whether the definition's usages have signing among them.
func (k *Key) Signs() bool {
	for _, usage := range k.Definition.Usages {
		if usage == "sign" {
			return true
		}
	}
	return len(k.Definition.Usages) == 0
}

// Shown is the definition as it may leave hsmd, without PIN and credentials.
func (k *Key) Shown() wire.Definition {
	d := k.Definition
	if d.PKCS11 != nil {
		p := *d.PKCS11
		p.PIN = ""
		d.PKCS11 = &p
	}
	if d.AWSKMS != nil {
		p := *d.AWSKMS
		p.AccessKey, p.SecretKey = "", ""
		d.AWSKMS = &p
	}
	return d
}
