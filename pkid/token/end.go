package token

import (
	"bytes"
	"context"
	"errors"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// end is how a token ended before its time.
type end string

const (
	withAll end = "tree"  // and all that descend from it
	alone   end = "alone" // its children are orphans
)

// Revoke ends a token and all that descend from it. When it returns nil none of
// them is let in any more, and never will be.
func (s *Store) Revoke(ctx context.Context, t *Token) error { return s.end(ctx, t, withAll) }

// RevokeOrphan ends a token and makes its children orphans.
func (s *Store) RevokeOrphan(ctx context.Context, t *Token) error { return s.end(ctx, t, alone) }

func (s *Store) end(ctx context.Context, t *Token, how end) error {
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error { return s.finish(tx, t.hash, how) })
	if err != nil {
		return err
	}
	defer s.look()
	// It has ended; who asked is to see it gone as well. Where that fails, the
	// sweep does it.
	_ = s.cfg.Store.Update(ctx, func(tx store.Tx) error { _, err := s.bury(tx, t.hash); return err })
	return nil
}

// finish marks a token as ended, the one write by which it and its tree are none
// any more. It is no error if there is none.
func (s *Store) finish(tx store.Tx, hash []byte, how end) error {
	t, err := s.read(tx, hash)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil || t.Ended != "" { // how it ended stays: its children may be orphans already
		return err
	}
	t.Ended = how
	return errors.Join(write(tx, t), tx.Put(store.TokenEnded(hash), nil), tx.Delete(store.TokenPath(t.Path, hash)))
}

// usedUp is the number of uses left to whoever has just had the last one.
const usedUp = -1

// Use counts one use of a token whose uses are limited, before the use. After
// the last one the token has ended for everybody else.
func (s *Store) Use(ctx context.Context, t *Token) error {
	if t.NumUses == 0 {
		return nil
	}
	last := false
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		now, err := s.live(tx, t.hash)
		if err != nil {
			return err
		}
		if last = now.NumUses == 1; last {
			return s.finish(tx, t.hash, withAll)
		}
		now.NumUses--
		return write(tx, now)
	})
	if err != nil {
		return err
	}
	if t.NumUses--; last {
		t.NumUses = usedUp
		s.look()
	}
	return nil
}

// RevokeByPath ends all tokens that were made at paths that begin so, as
// "auth/approle/", with all that descend from them. If it returns an error, or
// the process ends, some are left: whoever must have them all revoked calls it
// again.
func (s *Store) RevokeByPath(ctx context.Context, prefix string) error {
	defer s.look()
	return s.endAll(ctx, prefix)
}

// RevokeAt does the same with those that were made at this very path.
func (s *Store) RevokeAt(ctx context.Context, path string) error {
	defer s.look()
	return s.endAll(ctx, path+"\x00") // where the path ends in the index
}

func (s *Store) endAll(ctx context.Context, prefix string) error {
	start, end := store.TokensByPath(prefix)
	return s.pages(ctx, start, end, func(tx store.Tx, key []byte) error {
		_, hash, _ := bytes.Cut(key, []byte{0})
		return errors.Join(s.finish(tx, hash, withAll), tx.Delete(key))
	})
}
