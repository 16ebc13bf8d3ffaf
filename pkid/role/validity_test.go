package role_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/role"
)

// TestValidity is the table of vault-api 4.1. The mount's default is 768 h and
// its maximum 1000 h; the issuer lasts ten years from observedAt.
func TestValidity(t *testing.T) {
	issuerEnd := observedIssuer(t).Certificate().NotAfter
	for _, c := range []struct {
		name, role string
		ttl        time.Duration
		notAfter   string
		beyond     role.NotAfterBehavior
		want       time.Time
		warning    string
		reason     string
	}{
		{name: "the mount's default", want: now.Add(768 * time.Hour)},
		{name: "the role's", role: "ttl=2h", want: now.Add(2 * time.Hour)},
		{name: "the request's", role: "ttl=2h max_ttl=5h", ttl: 3 * time.Hour, want: now.Add(3 * time.Hour)},
		{name: "cut to the role's maximum", role: "max_ttl=5h", ttl: 6 * time.Hour, want: now.Add(5 * time.Hour),
			warning: `TTL "6h0m0s" is longer than permitted maxTTL "5h0m0s", so maxTTL is being used`},
		{name: "the default cut to the role's maximum", role: "max_ttl=72h", want: now.Add(72 * time.Hour), warning: "so maxTTL is being used"},
		{name: "cut to the mount's maximum", ttl: 2000 * time.Hour, want: now.Add(1000 * time.Hour), warning: "so maxTTL is being used"},
		{name: "the role may exceed the mount", role: "ttl=1500h max_ttl=2000h", want: now.Add(1500 * time.Hour)},
		{name: "an end", notAfter: "2026-12-31T23:59:59Z", want: time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC)},
		{name: "an end is not bounded by the mount's maximum", notAfter: "2030-01-01T01:00:00+01:00", want: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)},
		{name: "an end cut to the role's maximum", role: "max_ttl=1h", notAfter: "2027-01-01T01:00:00+01:00", want: now.Add(time.Hour),
			warning: `not_after "2027-01-01T01:00:00+01:00" is later than the permitted maxTTL "1h0m0s" allows, so maxTTL is being used`},
		{name: "an end below the role's maximum", role: "max_ttl=2000h", notAfter: "2026-12-31T23:59:59Z", want: time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC)},
		{name: "the role's end is not bounded", role: "max_ttl=1h not_after=2027-06-01T00:00:00Z", want: time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)},
		{name: "an end beyond the issuer cut to the role's maximum", role: "max_ttl=1h", notAfter: "9999-12-31T23:59:59Z", want: now.Add(time.Hour), warning: "so maxTTL is being used"},
		{name: "the role's end wins", role: "not_after=2027-06-01T00:00:00Z", notAfter: "2026-12-31T00:00:00Z", want: time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)},
		{name: "an end and a ttl", ttl: time.Hour, notAfter: "2026-12-31T00:00:00Z", reason: "Either ttl or not_after should be provided."},
		{name: "the role's end and a ttl", role: "not_after=2027-06-01T00:00:00Z", ttl: time.Hour, reason: "Either ttl or not_after should be provided."},
		{name: "an end that is none", notAfter: "x", reason: `not_after: parsing time "x" as "2006-01-02T15:04:05Z07:00"`},
		{name: "beyond the issuer", notAfter: "9999-12-31T23:59:59Z", reason: "cannot satisfy request, as TTL would result in notAfter of 9999-12-31T23:59:59Z that is beyond the expiration of the CA certificate at " + issuerEnd.Format(time.RFC3339Nano)},
		{name: "beyond, err", notAfter: "9999-12-31T23:59:59Z", beyond: role.BeyondErr, reason: "beyond the expiration"},
		{name: "beyond, always_enforce_err", notAfter: "9999-12-31T23:59:59Z", beyond: role.BeyondAlwaysErr, reason: "beyond the expiration"},
		{name: "beyond, truncate", notAfter: "9999-12-31T23:59:59Z", beyond: role.BeyondTruncate, want: issuerEnd},
		{name: "beyond, permit", notAfter: "9999-12-31T23:59:59Z", beyond: role.BeyondPermit, want: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := parseRole(t, append(strings.Fields(c.role), "allow_any_name=true"))
			at := terms(t)
			at.MaxTTL, at.Beyond = 1000*time.Hour, c.beyond
			req, warnings, err := r.Request(&role.Wish{CommonName: "a", TTL: c.ttl, NotAfter: c.notAfter}, nil, at)
			if c.reason != "" {
				var refused *role.Refusal
				if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.reason) {
					t.Errorf("got %v, want a refusal with %q", err, c.reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !req.NotAfter.Equal(c.want) {
				t.Errorf("ends %v, want %v", req.NotAfter, c.want)
			}
			if text := strings.Join(warnings, "|"); (text == "") != (c.warning == "") || !strings.Contains(text, c.warning) {
				t.Errorf("warnings %q, want %q", warnings, c.warning)
			}
		})
	}
}

func TestNotBefore(t *testing.T) {
	for words, want := range map[string]time.Duration{
		"":                       30 * time.Second,
		"not_before_duration=0":  30 * time.Second,
		"not_before_duration=5m": 5 * time.Minute,
	} {
		r := parseRole(t, append(strings.Fields(words), "allow_any_name=true"))
		req, _, err := r.Request(&role.Wish{CommonName: "a"}, nil, terms(t))
		if err != nil || !req.NotBefore.Equal(now.Add(-want)) {
			t.Errorf("%q: begins %v, want %v before now; %v", words, req.NotBefore, want, err)
		}
	}
}

func TestParseNotAfterBehavior(t *testing.T) {
	for text, want := range map[string]role.NotAfterBehavior{
		"": role.BeyondErr, "err": role.BeyondErr, "truncate": role.BeyondTruncate, "permit": role.BeyondPermit, "always_enforce_err": role.BeyondAlwaysErr,
	} {
		if got, err := role.ParseNotAfterBehavior(text); err != nil || got != want {
			t.Errorf("%q reads as %q, %v", text, got, err)
		}
	}
	if _, err := role.ParseNotAfterBehavior("bogus"); err == nil {
		t.Error("bogus was accepted")
	}
}
