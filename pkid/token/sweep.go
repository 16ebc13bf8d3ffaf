package token

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// page bounds the tokens that one update deals with.
const page = 256

// sweepEach is how often tokens are looked for that have ended by time. They are
// none from that time on, and have only to be deleted.
const sweepEach = time.Minute

// look has the ended tokens looked at.
func (s *Store) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// sweep deletes what has ended, first of all what was left by a crash.
func (s *Store) sweep(ctx context.Context) {
	each := time.NewTicker(sweepEach)
	defer each.Stop()
	for {
		if err := errors.Join(s.expire(ctx), s.buryAll(ctx)); err != nil && ctx.Err() == nil {
			s.cfg.Log.Error("ended tokens could not be deleted", "error", err)
		}
		select {
		case <-each.C:
		case <-s.wake:
		case <-ctx.Done():
			return
		}
	}
}

// Tidy deletes what has ended now.
func (s *Store) Tidy(ctx context.Context) error {
	return errors.Join(s.expire(ctx), s.buryAll(ctx))
}

// expire marks the tokens whose time is over.
func (s *Store) expire(ctx context.Context) error {
	now := s.cfg.Now()
	index := store.TokensByExpiry()
	start, until := index.Between(time.Time{}, now)
	return s.pages(ctx, start, until, func(tx store.Tx, key []byte) error {
		_, hash, ok := store.SplitEntry(key, len(index))
		if !ok {
			return tx.Delete(key)
		}
		t, err := s.read(tx, hash)
		if err == nil && t.alive(now) { // an entry that is not this token's
			return tx.Delete(key)
		}
		return errors.Join(s.finish(tx, hash, withAll), tx.Delete(key))
	})
}

// buryAll deletes all tokens that are marked as ended. Burying one marks its
// children, which the next round finds.
func (s *Store) buryAll(ctx context.Context) error {
	start, end := store.TokensEnded()
	for {
		var marks [][]byte
		// Not in the update, which all that is revoked meanwhile would overtake.
		err := s.cfg.Store.View(ctx, func(r store.Reader) (err error) { marks, err = some(r, start, end); return err })
		if err != nil || len(marks) == 0 {
			return err
		}
		err = s.cfg.Store.Update(ctx, func(tx store.Tx) error {
			children := 0
			for _, mark := range marks {
				n, err := s.bury(tx, mark[len(start):])
				if err != nil {
					return err
				}
				if children += n; children >= page {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// bury marks a page of an ended token's children as ended, or makes them orphans,
// and says how many; when there are no more it deletes the token. A child is its
// parent's until what the parent's end means to it is durable.
func (s *Store) bury(tx store.Tx, hash []byte) (children int, err error) {
	t, err := s.read(tx, hash)
	if errors.Is(err, ErrNotFound) {
		return 0, tx.Delete(store.TokenEnded(hash))
	}
	if err != nil {
		return 0, err
	}
	if t.Ended == "" {
		return 0, tx.Delete(store.TokenEnded(hash))
	}
	start, until := store.TokenChildren(hash)
	links, err := some(tx, start, until)
	if err != nil {
		return 0, err
	}
	for _, link := range links {
		child := link[len(start):]
		if err := errors.Join(s.leave(tx, child, t.Ended), tx.Delete(link)); err != nil {
			return 0, err
		}
	}
	if len(links) == page {
		return page, nil
	}
	return len(links), errors.Join(tx.Delete(store.Token(hash)), tx.Delete(store.TokenAccessor(t.Accessor)), tx.Delete(store.TokenPath(t.Path, hash)),
		tx.Delete(store.TokensByExpiry().Entry(t.Expires, hash)), unlink(tx, t), tx.Delete(store.TokenEnded(hash)))
}

// leave is what a token's end means to a child of its.
func (s *Store) leave(tx store.Tx, child []byte, how end) error {
	if how != alone {
		return s.finish(tx, child, withAll)
	}
	c, err := s.read(tx, child)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	c.Parent = nil
	return write(tx, c)
}

func unlink(tx store.Tx, t *Token) error {
	if t.Orphan() {
		return nil
	}
	return tx.Delete(store.TokenChild(t.Parent, t.hash))
}

// pages has fn deal with each key of a range, of which it leaves none.
func (s *Store) pages(ctx context.Context, start, end []byte, fn func(tx store.Tx, key []byte) error) error {
	for done := false; !done; {
		err := s.cfg.Store.Update(ctx, func(tx store.Tx) error {
			keys, err := some(tx, start, end)
			if err != nil {
				return err
			}
			done = len(keys) < page
			for _, key := range keys {
				if err := fn(tx, key); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// some gives a page of the keys of a range.
func some(r store.Reader, start, end []byte) (keys [][]byte, err error) {
	err = r.Scan(start, end, func(key, _ []byte) error {
		keys = append(keys, bytes.Clone(key))
		if len(keys) == page {
			return store.ErrStop
		}
		return nil
	})
	return keys, err
}
