package ledger

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// unless gives the error, unless it is a refusal that people have overridden by
// approving exactly the message with this sum. They have once: what was signed
// after it binds again, and whoever keeps an approved message cannot go back to it.
// The note of that, and what is overridden, is synced, for no log has it.
func (l *Ledger) unless(approved bool, sum *Sum, err error) error {
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok || !approved || !refusal.Approvable {
		return err
	}
	used, err := l.get(overrideKey(sum))
	if used != nil {
		return &Refusal{Rule: refusal.Rule, Reason: refusal.Reason + "; it was approved, and signed so once"}
	}
	return err
}

// takeBack drops the revocations that an approved CRL takes back: what it has
// removeFromCRL of, and what it leaves out that it should have.
func (x *List) takeBack(n Numbering, sum *Sum) error {
	b := x.l.db.NewBatch()
	if err := b.Set(overrideKey(sum), []byte{1}, nil); err != nil {
		return err
	}
	for serial := range x.back.all() {
		if err := b.Delete(revokedKey(x.id, serialOf(serial)), nil); err != nil {
			return err
		}
	}
	for serial := range x.lost.all() {
		key := revokedKey(x.id, serialOf(serial))
		value, err := x.l.get(key)
		if value == nil || err != nil {
			return err
		}
		number, _, err := readRevoked(value)
		if err == nil && (n.Base == nil || number > *n.Base) {
			err = b.Delete(key, nil)
		}
		if err != nil {
			return err
		}
	}
	return x.l.commit(b, pebble.Sync)
}
