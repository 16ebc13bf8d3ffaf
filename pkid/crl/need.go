package crl

import (
	"time"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// need says which lists of a group are to be made.
type need struct{ complete, delta bool }

func (n need) of(kind Kind) bool {
	if kind == Delta {
		return n.delta
	}
	return n.complete
}

// need says which lists are out of date now.
func (u *Updater) need(r store.Reader, g inventory.Group) (need, *record, error) {
	rec, err := u.record(r, g)
	if err != nil {
		return need{}, nil, err
	}
	changes, err := u.inventory.Changes(r, g)
	if err != nil {
		return need{}, nil, err
	}
	config, now := u.cfg.Source.CRLConfig(), u.cfg.Now()
	var n need
	complete := rec.Complete
	n.complete = complete == nil || !now.Before(renewal(complete, config)) || complete.Disabled != config.Disable ||
		!config.AutoRebuild && !complete.Disabled && complete.Changes != changes
	if !config.EnableDelta {
		return n, rec, nil
	}
	delta := rec.Delta
	n.delta = n.complete || delta == nil || delta.Base != complete.Number || !now.Before(renewal(delta, config)) ||
		!complete.Disabled && delta.Changes != changes && !now.Before(delta.ThisUpdate.Add(config.DeltaRebuildInterval.Duration))
	return n, rec, nil
}

// leastGrace is how long before its end a list is made anew at the latest, for
// the making takes time, unless a third of its time is less.
const leastGrace = time.Minute

// renewal is when a list is to be made anew although nothing has changed: with
// auto_rebuild the grace period before its end, else when a third of its time is
// left. A list that was made when expiry was longer is renewed as if it had been
// made now.
func renewal(l *list, config Config) time.Time {
	life := min(l.NextUpdate.Sub(l.ThisUpdate), config.Expiry.Duration)
	grace := life / 3
	if config.AutoRebuild {
		grace = min(max(config.AutoRebuildGracePeriod.Duration, min(leastGrace, grace)), life)
	}
	return l.ThisUpdate.Add(life - grace)
}
