// Package wrapping keeps answers for one reader (Vault's response wrapping):
// whoever has the token reads the answer, once, and if he finds that it is gone,
// somebody else has read it. The store has the answer sealed under a key that is
// made of the token, and neither that nor the token: a copy of the store gives
// no answer.
//
// Start at [Store.Wrap] and [Store.Unwrap].
package wrapping

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// ErrNotFound is of a token that wraps nothing: it never did, has ended, or the
// answer was read.
var ErrNotFound = errors.New("wrapping token is not valid or does not exist")

// MaxTTL is the longest that an answer is kept.
const MaxTTL = 768 * time.Hour

// Info is what is said of a wrapped answer, in Vault's words.
type Info struct {
	Token           string    `json:"token"` // "" but for who wraps
	Accessor        string    `json:"accessor"`
	TTL             int64     `json:"ttl"` // seconds
	CreationTime    time.Time `json:"creation_time"`
	CreationPath    string    `json:"creation_path"`
	WrappedAccessor string    `json:"wrapped_accessor,omitempty"` // of the token inside, where one is
}

// record is what is stored.
type record struct {
	Info
	Sealed []byte `json:"sealed"`
}

func (r *record) end() time.Time { return r.CreationTime.Add(time.Duration(r.TTL) * time.Second) }

// Store keeps them. It is safe for concurrent use.
type Store struct {
	Store store.Store
	Now   func() time.Time
	Log   *slog.Logger
}

// Wrap keeps an answer for a time. path is the one that it is the answer of.
func (s *Store) Wrap(ctx context.Context, answer []byte, ttl time.Duration, path, wrappedAccessor string) (*Info, error) {
	token := "hvs." + rand.Text() + rand.Text()
	r := &record{Info: Info{Accessor: rand.Text(), TTL: int64(ttl / time.Second), CreationTime: s.Now().UTC().Truncate(time.Microsecond),
		CreationPath: path, WrappedAccessor: wrappedAccessor}}
	box, err := boxOf(token)
	if err != nil {
		return nil, err
	}
	// The key is used once, for this: a nonce of zeros will do.
	r.Sealed = box.Seal(nil, make([]byte, box.NonceSize()), answer, nil)
	value, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	hash := hashOf(token)
	err = s.Store.Update(ctx, func(tx store.Tx) error {
		return errors.Join(tx.Put(store.Wrapped(hash), value), tx.Put(store.WrappedByExpiry().Entry(r.end(), hash), nil))
	})
	if err != nil {
		return nil, err
	}
	info := r.Info
	info.Token = token
	return &info, nil
}

// Unwrap gives the answer, to one of all who ask, and forgets it. A crash in
// between loses it: nobody has it twice.
func (s *Store) Unwrap(ctx context.Context, token string) ([]byte, *Info, error) {
	var r *record
	hash := hashOf(token)
	err := s.Store.Update(ctx, func(tx store.Tx) (err error) {
		if r, err = s.read(tx, hash); err != nil {
			return err
		}
		return errors.Join(tx.Delete(store.Wrapped(hash)), tx.Delete(store.WrappedByExpiry().Entry(r.end(), hash)))
	})
	if err != nil {
		return nil, nil, err
	}
	box, err := boxOf(token)
	if err != nil {
		return nil, nil, err
	}
	answer, err := box.Open(nil, make([]byte, box.NonceSize()), r.Sealed, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("a wrapped answer in the store: %w", err)
	}
	return answer, &r.Info, nil
}

// Lookup tells of a wrapped answer, and leaves it.
func (s *Store) Lookup(ctx context.Context, token string) (*Info, error) {
	var r *record
	err := s.Store.View(ctx, func(reader store.Reader) (err error) {
		r, err = s.read(reader, hashOf(token))
		return err
	})
	if err != nil {
		return nil, err
	}
	return &r.Info, nil
}

func (s *Store) read(from store.Reader, hash []byte) (*record, error) {
	value, err := from.Get(store.Wrapped(hash))
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(value, r); err != nil {
		return nil, fmt.Errorf("a wrapped answer in the store: %w", err)
	}
	if !s.Now().Before(r.end()) {
		return nil, ErrNotFound
	}
	return r, nil
}

// hashOf is what an answer is found by. A token has 260 random bits, so that
// nothing but itself leads back from the hash.
func hashOf(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// boxOf is the box that a token opens.
func boxOf(token string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "pkid wrapping 1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
