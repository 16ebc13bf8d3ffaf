package role

import (
	"fmt"
	"time"
)

// NotAfterBehavior says what becomes of a certificate that would outlive its
// issuer: an issuer's leaf_not_after_behavior.
type NotAfterBehavior string

// The behaviours. AlwaysErr is as Err, and for CA certificates too.
const (
	BeyondErr       NotAfterBehavior = "err"
	BeyondTruncate  NotAfterBehavior = "truncate"
	BeyondPermit    NotAfterBehavior = "permit"
	BeyondAlwaysErr NotAfterBehavior = "always_enforce_err"
)

// ParseNotAfterBehavior reads a leaf_not_after_behavior; "" is err. The error is
// a *Refusal.
func ParseNotAfterBehavior(s string) (NotAfterBehavior, error) {
	switch b := NotAfterBehavior(s); b {
	case "":
		return BeyondErr, nil
	case BeyondErr, BeyondTruncate, BeyondPermit, BeyondAlwaysErr:
		return b, nil
	}
	return "", refuse("Unknown value for field `leaf_not_after_behavior`. Possible values are `err`, `truncate`, `permit` and `always_enforce_err`.")
}

// leafValidity is validity where the end that a wish names is cut to the role's
// max_ttl, as a ttl is: else whoever names one goes beyond it. The role's own
// not_after stays.
func (r *Role) leafValidity(w *Wish, t *Terms) (notBefore, notAfter time.Time, warnings []string, err error) {
	longest, warning := r.MaxTTL.Duration(), ""
	last := t.Now.Add(longest)
	if end, noTime := time.Parse(time.RFC3339, w.NotAfter); noTime == nil && longest > 0 && end.After(last) && r.NotAfter == "" {
		warning = fmt.Sprintf("not_after %q is later than the permitted maxTTL %q allows, so maxTTL is being used", w.NotAfter, longest)
		bound := *w
		bound.NotAfter = last.Format(time.RFC3339Nano)
		w = &bound
	}
	notBefore, notAfter, warnings, err = r.validity(w, t)
	if warning != "" {
		warnings = append(warnings, warning)
	}
	return notBefore, notAfter, warnings, err
}

// validity decides from when to when a certificate is valid (vault-api 4.1).
// The end is the role's not_after, else the wish's, else a ttl: the wish's, the
// role's, the mount's, cut to the role's or the mount's maximum with a warning.
func (r *Role) validity(w *Wish, t *Terms) (notBefore, notAfter time.Time, warnings []string, err error) {
	if w.TTL > 0 && w.TTL < time.Second {
		return notBefore, notAfter, nil, refuse("ttl: %s is less than a second", w.TTL)
	}
	end := r.NotAfter
	if end == "" {
		end = w.NotAfter
	}
	if end != "" {
		if notAfter, err = time.Parse(time.RFC3339, end); err != nil {
			return notBefore, notAfter, nil, refuse("not_after: %s", err)
		}
		if w.TTL > 0 {
			return notBefore, notAfter, nil, refuse("Either ttl or not_after should be provided. Both should not be provided in the same request.")
		}
	} else {
		ttl, warning := r.lifetime(w.TTL.Truncate(time.Second), t)
		if warning != "" {
			warnings = append(warnings, warning)
		}
		notAfter = t.Now.Add(ttl)
	}
	if t.Issuer != nil && notAfter.After(t.Issuer.NotAfter) {
		if notAfter, err = t.beyondIssuer(notAfter); err != nil {
			return notBefore, notAfter, nil, err
		}
	}
	back := r.NotBeforeDuration.Duration()
	if back == 0 {
		back = 30 * time.Second
	}
	return t.Now.Add(-back), notAfter, warnings, nil
}

func (r *Role) lifetime(asked time.Duration, t *Terms) (ttl time.Duration, warning string) {
	ttl = asked
	if ttl == 0 {
		ttl = r.TTL.Duration()
	}
	if ttl == 0 {
		ttl = t.DefaultTTL
	}
	longest := r.MaxTTL.Duration()
	if longest == 0 {
		longest = t.MaxTTL
	}
	if ttl <= longest {
		return ttl, ""
	}
	return longest, fmt.Sprintf("TTL %q is longer than permitted maxTTL %q, so maxTTL is being used", ttl, longest)
}

// beyondIssuer decides on an end that lies after the issuer's.
func (t *Terms) beyondIssuer(notAfter time.Time) (time.Time, error) {
	switch t.Beyond {
	case BeyondPermit:
		return notAfter, nil
	case BeyondTruncate:
		return t.Issuer.NotAfter, nil
	}
	return notAfter, refuse("cannot satisfy request, as TTL would result in notAfter of %s that is beyond the expiration of the CA certificate at %s",
		notAfter.UTC().Format(time.RFC3339Nano), t.Issuer.NotAfter.UTC().Format(time.RFC3339Nano))
}
