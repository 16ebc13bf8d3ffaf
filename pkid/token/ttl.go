package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// limit sets the end of a new token, which wishes for a TTL, by Vault's rules.
func (s *Store) limit(t *Token, ttl time.Duration) {
	if ttl == 0 && t.Period == 0 && t.ExplicitMaxTTL == 0 && len(t.Policies) == 1 && t.Policies[0] == rootPolicy {
		t.Renewable = false // it does not end
		return
	}
	longest := s.longest(t)
	if t.Period > longest {
		t.warn("Period of %q exceeded the effective max_ttl of %q; Period value is capped accordingly", t.Period, longest)
		t.Period = longest
	}
	switch {
	case t.Period > 0:
		ttl = t.Period
	case ttl == 0:
		ttl = min(s.cfg.DefaultTTL, longest)
	case ttl > longest:
		t.warn("TTL of %q exceeded the effective max_ttl of %q; TTL value is capped accordingly", ttl, longest)
		ttl = longest
	}
	t.TTL = ttl
	t.Expires = t.Created.Add(ttl)
}

// longest is the most that a token may live, or be given at once if it is
// periodic.
func (s *Store) longest(t *Token) time.Duration {
	longest := s.cfg.MaxTTL
	for _, limit := range []time.Duration{t.MaxTTL, t.ExplicitMaxTTL} {
		if limit > 0 {
			longest = min(longest, limit)
		}
	}
	return longest
}

func (t *Token) warn(format string, args ...any) {
	t.Warnings = append(t.Warnings, fmt.Sprintf(format, args...))
}

// Renew puts off a token's end by an increment, 0 being the TTL that it was
// made with, or by its period if it has one; and no further than it may live.
func (s *Store) Renew(ctx context.Context, t *Token, increment time.Duration) (*Token, error) {
	var renewed *Token
	err := s.cfg.Store.Update(ctx, func(tx store.Tx) (err error) {
		if renewed, err = s.live(tx, t.hash); err != nil {
			return err
		}
		renewed.ID = t.ID
		old := renewed.Expires
		if err := s.putOff(renewed, increment); err != nil {
			return err
		}
		return errors.Join(tx.Delete(store.TokensByExpiry().Entry(old, t.hash)), expireAt(tx, renewed), write(tx, renewed))
	})
	if err != nil {
		return nil, err
	}
	return renewed, nil
}

func (s *Store) putOff(t *Token, increment time.Duration) error {
	if !t.Renewable || t.Expires.IsZero() {
		return ErrNotRenewable
	}
	now := s.cfg.Now().UTC()
	ttl := increment
	if ttl == 0 {
		ttl = t.TTL
	}
	last := t.Created.Add(s.longest(t))
	if t.Period > 0 {
		ttl = t.Period
		last = now.Add(ttl)
		if t.ExplicitMaxTTL > 0 {
			last = t.Created.Add(t.ExplicitMaxTTL)
		}
	}
	if !now.Before(last) {
		return ErrPastMaxTTL
	}
	if left := last.Sub(now); ttl > left {
		t.warn("TTL of %q exceeded the effective max_ttl of %q; TTL value is capped accordingly", ttl, left.Truncate(time.Second))
		ttl = left
	}
	t.Expires, t.LastRenewal = now.Add(ttl), now
	return nil
}
