package token

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// maxDepth bounds the line of a token's parents.
const maxDepth = 32

// Config is what a Store is made of.
type Config struct {
	Store store.Store
	Now   func() time.Time
	Log   *slog.Logger

	DefaultTTL, MaxTTL time.Duration // default: 768 hours, as in Vault
}

// Store has the tokens. It is safe for concurrent use.
type Store struct {
	cfg  Config
	key  []byte // of the hash
	wake chan struct{}

	decoded decoded

	close   context.CancelFunc
	working sync.WaitGroup
}

// Open finds the tokens, looking at none of them, and deletes what has ended
// until Close.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.DefaultTTL == 0 {
		cfg.DefaultTTL = 768 * time.Hour
	}
	if cfg.MaxTTL == 0 {
		cfg.MaxTTL = 768 * time.Hour
	}
	s := &Store{cfg: cfg, wake: make(chan struct{}, 1)}
	if err := cfg.Store.View(ctx, func(r store.Reader) (err error) { s.key, err = r.Get(store.TokenHashKey()); return err }); err != nil {
		if !errors.Is(err, store.ErrNotFound) {
			return nil, fmt.Errorf("tokens: %w", err)
		}
		if err := s.makeKey(ctx); err != nil {
			return nil, fmt.Errorf("tokens: %w", err)
		}
	}
	running, cancel := context.WithCancel(context.Background())
	s.close = cancel
	s.working.Go(func() { s.sweep(running) })
	return s, nil
}

// makeKey makes the key of the hash, which is never changed.
func (s *Store) makeKey(ctx context.Context) error {
	fresh := make([]byte, sha256.Size)
	rand.Read(fresh)
	return s.cfg.Store.Update(ctx, func(tx store.Tx) (err error) {
		if s.key, err = tx.Get(store.TokenHashKey()); !errors.Is(err, store.ErrNotFound) {
			return err // another process was faster
		}
		s.key = fresh
		return tx.Put(store.TokenHashKey(), fresh)
	})
}

// Close ends the deleting; the next Open goes on with it.
func (s *Store) Close() {
	s.close()
	s.working.Wait()
}

func (s *Store) hash(id string) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(id))
	return h.Sum(nil)
}

// Create makes a token. Its id is in what Create returns, and nowhere else. The
// parent has to live until it is made.
func (s *Store) Create(ctx context.Context, spec Spec) (*Token, error) {
	now := s.cfg.Now().UTC()
	t := &Token{
		ID: spec.ID, Accessor: rand.Text(), Policies: SortPolicies(spec.Policies, !spec.NoDefaultPolicy), DisplayName: spec.DisplayName,
		Meta: spec.Meta, Alias: spec.Alias, Path: spec.Path, Role: spec.Role, BoundCIDRs: spec.BoundCIDRs, Created: now,
		MaxTTL: spec.MaxTTL, ExplicitMaxTTL: spec.ExplicitMaxTTL, Period: spec.Period, Renewable: !spec.NotRenewable, NumUses: spec.NumUses,
	}
	if t.ID == "" {
		t.ID = newID()
	}
	if slices.Contains(t.Policies, rootPolicy) && !strings.HasPrefix(t.Path, "auth/token/") {
		return nil, ErrRootByLogin
	}
	t.hash = s.hash(t.ID)
	s.limit(t, spec.TTL)
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		if spec.Parent != nil {
			parent, err := s.live(tx, spec.Parent.hash)
			if err != nil {
				return err
			}
			if t.Parent, t.Depth = parent.hash, parent.Depth+1; t.Depth > maxDepth {
				return ErrTooDeep
			}
			if spec.Alias == nil {
				t.Alias = parent.Alias
			}
		}
		if _, err := tx.Get(store.Token(t.hash)); err == nil {
			return ErrExists
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return errors.Join(write(tx, t), index(tx, t))
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Lookup gives the token with an id. It does the same whatever is wrong with
// the id.
func (s *Store) Lookup(ctx context.Context, id string) (*Token, error) {
	t, err := s.lookup(ctx, s.hash(id))
	if err != nil {
		return nil, err
	}
	t.ID = id
	return t, nil
}

// LookupAccessor gives the token with an accessor, without its id.
func (s *Store) LookupAccessor(ctx context.Context, accessor string) (t *Token, err error) {
	err = s.cfg.Store.View(ctx, func(r store.Reader) error {
		hash, err := r.Get(store.TokenAccessor(accessor))
		if errors.Is(err, store.ErrNotFound) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		t, err = s.live(r, hash)
		return err
	})
	return t, err
}

// Accessors lists the accessors of all tokens.
func (s *Store) Accessors(ctx context.Context) (list []string, err error) {
	start, end := store.TokenAccessors()
	err = s.cfg.Store.View(ctx, func(r store.Reader) error {
		return r.Scan(start, end, func(key, _ []byte) error {
			list = append(list, string(key[len(start):]))
			return nil
		})
	})
	return list, err
}

func (s *Store) lookup(ctx context.Context, hash []byte) (t *Token, err error) {
	err = s.cfg.Store.View(ctx, func(r store.Reader) error { t, err = s.live(r, hash); return err })
	return t, err
}

// live reads a token, which is none unless all whom it descends from live.
func (s *Store) live(r store.Reader, hash []byte) (*Token, error) {
	t, err := s.read(r, hash)
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	if !t.alive(now) {
		return nil, ErrNotFound
	}
	for ancestor := t; !ancestor.Orphan(); {
		if ancestor, err = s.read(r, ancestor.Parent); err != nil {
			return nil, err
		}
		if ancestor.Ended == alone {
			break
		}
		if !ancestor.alive(now) {
			return nil, ErrNotFound
		}
	}
	return t, nil
}

func (t *Token) alive(now time.Time) bool {
	return t.Ended == "" && (t.Expires.IsZero() || now.Before(t.Expires))
}

func (s *Store) read(r store.Reader, hash []byte) (*Token, error) {
	raw, err := r.Get(store.Token(hash))
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return s.decoded.decode(hash, raw)
}

func write(tx store.Tx, t *Token) error {
	raw, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if len(raw) > maxSize {
		return ErrTooLarge
	}
	return tx.Put(store.Token(t.hash), raw)
}

// index writes what leads to a new token.
func index(tx store.Tx, t *Token) error {
	err := errors.Join(tx.Put(store.TokenAccessor(t.Accessor), t.hash), tx.Put(store.TokenPath(t.Path, t.hash), nil), expireAt(tx, t))
	if !t.Orphan() {
		err = errors.Join(err, tx.Put(store.TokenChild(t.Parent, t.hash), nil))
	}
	return err
}

// expireAt has the token found when it ends.
func expireAt(tx store.Tx, t *Token) error {
	if t.Expires.IsZero() {
		return nil
	}
	return tx.Put(store.TokensByExpiry().Entry(t.Expires, t.hash), nil)
}
