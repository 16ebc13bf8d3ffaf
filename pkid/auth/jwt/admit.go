package jwt

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Login is whom a role admitted.
type Login struct {
	User string            // the user claim
	Meta map[string]string // for the token: the claims that the role maps
}

// Admit decides whether a genuine token is one of the role's now. The reason of
// a refusal is for the log.
func (r *Role) Admit(claims Claims, now time.Time) (*Login, error) {
	if err := r.checkTimes(claims, now); err != nil {
		return nil, err
	}
	if err := r.checkAudience(claims); err != nil {
		return nil, err
	}
	if subject, _ := claims["sub"].(string); r.BoundSubject != "" && subject != r.BoundSubject {
		return nil, fmt.Errorf("sub is %q, not the bound subject", shorten(subject))
	}
	for claim, want := range r.BoundClaims {
		value, ok := claims.find(claim)
		if !ok {
			return nil, fmt.Errorf("claim %q is missing", claim)
		}
		if !r.matches(want, texts(value)) {
			return nil, fmt.Errorf("claim %q does not match any associated bound claim values", claim)
		}
	}
	return r.login(claims)
}

func (r *Role) login(claims Claims) (*Login, error) {
	value, found := claims[r.UserClaim], true
	if r.UserClaimJSONPointer {
		value, found = claims.find(r.UserClaim)
	}
	user, isText := value.(string)
	if !found || !isText || user == "" {
		return nil, fmt.Errorf("user claim %q is not there, or no text", r.UserClaim)
	}
	l := &Login{User: user, Meta: map[string]string{}}
	for claim, name := range r.ClaimMappings {
		value, ok := claims.find(claim)
		if !ok {
			continue
		}
		if l.Meta[name], ok = scalar(value); !ok {
			return nil, fmt.Errorf("claim %q, which is mapped to metadata, is a list or an object", claim)
		}
	}
	return l, nil
}

// checkAudience takes no token that was made for somebody else: one that names
// an audience needs a role that names it too.
func (r *Role) checkAudience(claims Claims) error {
	value, has := claims.find("aud")
	switch audiences := texts(value); {
	case !has && len(r.BoundAudiences) == 0:
		return nil
	case len(r.BoundAudiences) == 0:
		return errors.New("audience claim found in JWT but no audiences bound to the role")
	case !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(r.BoundAudiences, a) }):
		return errors.New("aud claim does not match any bound audience")
	}
	return nil
}

func (r *Role) matches(want, have []string) bool {
	return slices.ContainsFunc(want, func(w string) bool {
		return slices.ContainsFunc(have, func(h string) bool {
			if r.BoundClaimsType == matchGlob {
				return globMatches(w, h)
			}
			return w == h
		})
	})
}

// globMatches reads "*" in the pattern as any characters.
func globMatches(pattern, s string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, first)
	if !ok {
		return false
	}
	parts := strings.Split(rest, "*")
	last := parts[len(parts)-1]
	for _, part := range parts[:len(parts)-1] {
		if _, s, ok = strings.Cut(s, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(s, last)
}

// The leeways where a role says nothing, in seconds, as Vault's.
const (
	defaultNotBefore = 150
	defaultClockSkew = 60
)

// checkTimes follows Vault, but that a token without exp is refused unless the
// role's expiration_leeway says how long it counts.
func (r *Role) checkTimes(claims Claims, now time.Time) error {
	var at [3]time.Time
	for i, name := range []string{"iat", "nbf", "exp"} {
		var err error
		if at[i], err = timeOf(claims[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	issued, notBefore, expires := at[0], at[1], at[2]
	latest := issued
	if notBefore.After(latest) {
		latest = notBefore
	}
	switch {
	case !expires.IsZero():
	case r.ExpirationLeeway <= 0 || latest.IsZero():
		return errors.New("the token has no exp")
	default:
		expires = latest.Add(time.Duration(r.ExpirationLeeway) * time.Second)
	}
	if latest.IsZero() {
		notBefore = expires.Add(-span(r.NotBeforeLeeway, defaultNotBefore))
	}
	skew := span(r.ClockSkewLeeway, defaultClockSkew)
	switch early := now.Add(skew); {
	case early.Before(issued):
		return errors.New("iat is in the future")
	case early.Before(notBefore):
		return errors.New("the token does not count yet")
	case !now.Add(-skew).Before(expires):
		return errors.New("the token has expired")
	}
	return nil
}

func span(seconds, byDefault int) time.Duration {
	switch {
	case seconds < 0:
		return 0
	case seconds == 0:
		seconds = byDefault
	}
	return time.Duration(seconds) * time.Second
}

// timeOf reads a NumericDate; the zero time, if there is none.
func timeOf(value any) (time.Time, error) {
	if value == nil {
		return time.Time{}, nil
	}
	number, ok := value.(json.Number)
	if !ok {
		return time.Time{}, errors.New("it is no number")
	}
	const last = 253402300799 // the end of the year 9999
	seconds, err := number.Float64()
	if err != nil || math.IsNaN(seconds) || seconds < 1 || seconds > last {
		return time.Time{}, errors.New("it is no time")
	}
	return time.Unix(int64(seconds), 0), nil
}
