package tidy

import (
	"bytes"
	"context"
	"errors"
	"math/big"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// run does what the status's parameters say, pass by pass. Each begins where
// its index does: what an earlier run deleted is not there any more.
func (t *Tidier) run(ctx context.Context) error {
	p := t.Status().Params
	old := t.cfg.Now().Add(-p.SafetyBuffer)
	passes := []struct {
		wanted  bool
		message string
		do      func(ctx context.Context) error
	}{
		{p.CertStore, "Tidying certificate store", func(ctx context.Context) error {
			return errors.Join(
				t.expire(ctx, t.space.ByExpiry(), old, t.certificate),
				t.expire(ctx, t.space.UnstoredByExpiry(), old, t.certificate))
		}},
		{p.RevokedCerts, "Tidying revoked certificates", func(ctx context.Context) error { return t.expire(ctx, t.space.ByRevocation(), old, t.revocation) }},
		{p.IssuerAssociations, "Tidying issuers of revoked certificates", t.associate},
		{p.ExpiredIssuers, "Tidying expired issuers", t.issuers},
	}
	for _, pass := range passes {
		if !pass.wanted {
			continue
		}
		t.say(pass.message)
		if err := pass.do(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (t *Tidier) say(message string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status.Message = message
}

// page makes one update of a run's with the status after it; do is given the
// status to count in, and may run twice.
func (t *Tidier) page(ctx context.Context, do func(tx store.Tx, s *Status) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// Read before, not in the update: it may have its turn alone while a change
	// of the configuration, which holds t.mu, waits for its own.
	before := t.Status()
	var next Status
	err := t.cfg.Store.Update(ctx, func(tx store.Tx) error {
		next = before
		if err := do(tx, &next); err != nil {
			return err
		}
		kept := next
		kept.State = Running // after a crash it goes on, unless it was cancelled to the end
		return write(tx, t.space.Tidy(), &kept)
	})
	if err != nil {
		return err
	}
	t.mu.Lock()
	next.State = t.status.State // it may have been cancelled meanwhile
	t.status = next
	t.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(next.Params.Pause):
		return nil
	}
}

// expire goes along an index and has what ended before a time forgotten, unless
// forget says that it must stay.
func (t *Tidier) expire(ctx context.Context, index store.Index, before time.Time, forget func(tx store.Tx, serial *big.Int, notAfter time.Time, s *Status) (bool, error)) error {
	start, end := index.Between(time.Time{}, before)
	for done := false; !done; {
		var last []byte
		err := t.page(ctx, func(tx store.Tx, s *Status) error {
			keys, err := some(tx, start, end, s.Params.PageSize)
			if err != nil {
				return err
			}
			if done = len(keys) < s.Params.PageSize; len(keys) > 0 {
				last = keys[len(keys)-1]
			}
			for _, key := range keys {
				notAfter, serial, ok := store.SplitEntry(key, len(index))
				gone := true
				if ok {
					if gone, err = forget(tx, new(big.Int).SetBytes(serial), notAfter, s); err != nil {
						return err
					}
				}
				if gone { // also an entry that leads nowhere
					if err := tx.Delete(key); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		start = append(bytes.Clone(last), 0)
	}
	return nil
}

// some gives at most limit keys of a range.
func some(r store.Reader, start, end []byte, limit int) (keys [][]byte, err error) {
	err = r.Scan(start, end, func(key, _ []byte) error {
		keys = append(keys, bytes.Clone(key))
		if len(keys) == limit {
			return store.ErrStop
		}
		return nil
	})
	return keys, err
}

func (t *Tidier) certificate(tx store.Tx, serial *big.Int, _ time.Time, s *Status) (bool, error) {
	s.CertsDeleted++
	return true, t.inventory.Forget(tx, serial)
}

// revocation forgets a revocation and what may be left of its certificate, once
// a CRL that was made after the certificate's end has had it.
func (t *Tidier) revocation(tx store.Tx, serial *big.Int, notAfter time.Time, s *Status) (bool, error) {
	r, err := t.inventory.Revocation(tx, serial)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	published, err := t.cfg.CA.Published(tx, r.Group)
	if err != nil || !published.IsZero() && !published.After(notAfter) {
		return false, err
	}
	s.RevocationsDeleted++
	return true, errors.Join(t.inventory.Forget(tx, serial), t.inventory.ForgetRevocation(tx, serial))
}

// associate gives revocations whose issuer is gone to another issuer of the
// same group, if there is one.
func (t *Tidier) associate(ctx context.Context) error {
	for done := false; !done; {
		err := t.page(ctx, func(tx store.Tx, s *Status) error {
			var after *big.Int
			if s.After != nil {
				after = new(big.Int).SetBytes(s.After)
			}
			serials, err := t.inventory.RevokedSerials(tx, after, s.Params.PageSize)
			if err != nil {
				return err
			}
			if done = len(serials) < s.Params.PageSize; done {
				s.After = nil
			} else {
				s.After = serials[len(serials)-1].Bytes()
			}
			for _, serial := range serials {
				r, err := t.inventory.Revocation(tx, serial)
				if err != nil {
					return err
				}
				other, exists := t.cfg.CA.IssuerIn(r.Group, r.Issuer)
				if exists {
					continue
				}
				s.IssuersMissing++
				if other != "" {
					if err := t.inventory.Reassign(tx, serial, other); err != nil {
						return err
					}
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

func (t *Tidier) issuers(ctx context.Context) error {
	n, err := t.cfg.CA.DropExpiredIssuers(ctx, t.cfg.Now().Add(-t.Status().Params.IssuerSafetyBuffer))
	if err != nil {
		return err
	}
	return t.page(ctx, func(_ store.Tx, s *Status) error { s.IssuersDeleted += int64(n); return nil })
}
