package token_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/token"
)

// TestTTL is the table of how long a token lives at first, and how long it is
// given when it is renewed after an hour.
func TestTTL(t *testing.T) {
	const h, longest = time.Hour, 768 * time.Hour
	root := []string{"root"}
	for name, c := range map[string]struct {
		spec      token.Spec
		want      time.Duration // 0: no end
		warned    bool
		increment time.Duration
		renewed   time.Duration // from then on
		refused   error
	}{
		"nothing asked for":         {want: longest, renewed: longest - h},
		"a TTL":                     {spec: token.Spec{TTL: 2 * h}, want: 2 * h, renewed: 2 * h},
		"a long TTL":                {spec: token.Spec{TTL: 800 * h}, want: longest, warned: true, renewed: longest - h},
		"an increment":              {spec: token.Spec{TTL: 2 * h}, want: 2 * h, increment: 5 * h, renewed: 5 * h},
		"a shorter increment":       {spec: token.Spec{TTL: 9 * h}, want: 9 * h, increment: h, renewed: h},
		"a very long increment":     {spec: token.Spec{TTL: 2 * h}, want: 2 * h, increment: 9000 * h, renewed: longest - h},
		"explicit maximum":          {spec: token.Spec{TTL: 2 * h, ExplicitMaxTTL: 3 * h}, want: 2 * h, increment: 5 * h, renewed: 2 * h},
		"explicit maximum alone":    {spec: token.Spec{ExplicitMaxTTL: 3 * h}, want: 3 * h, renewed: 2 * h},
		"TTL over explicit maximum": {spec: token.Spec{TTL: 5 * h, ExplicitMaxTTL: 3 * h}, want: 3 * h, warned: true, renewed: 2 * h},
		"the login's maximum":       {spec: token.Spec{TTL: 5 * h, MaxTTL: 3 * h}, want: 3 * h, warned: true, renewed: 2 * h},
		"a longer login's maximum":  {spec: token.Spec{MaxTTL: 9000 * h}, want: longest, renewed: longest - h},
		"periodic":                  {spec: token.Spec{Period: 5 * h}, want: 5 * h, increment: h, renewed: 5 * h},
		"a period over a TTL":       {spec: token.Spec{Period: 5 * h, TTL: h}, want: 5 * h, renewed: 5 * h},
		"a long period":             {spec: token.Spec{Period: 800 * h}, want: longest, warned: true, renewed: longest},
		"periodic with a maximum":   {spec: token.Spec{Period: 2 * h, ExplicitMaxTTL: 2*h + h/2}, want: 2 * h, renewed: h + h/2},
		"not renewable":             {spec: token.Spec{TTL: 2 * h, NotRenewable: true}, want: 2 * h, refused: token.ErrNotRenewable},
		"root":                      {spec: token.Spec{Policies: root}, want: 0, refused: token.ErrNotRenewable},
		"root with a TTL":           {spec: token.Spec{Policies: root, TTL: 2 * h}, want: 2 * h, renewed: 2 * h},
		"root, periodic":            {spec: token.Spec{Policies: root, Period: 2 * h}, want: 2 * h, renewed: 2 * h},
		"root with a maximum":       {spec: token.Spec{Policies: root, ExplicitMaxTTL: 2 * h}, want: 2 * h, renewed: h},
	} {
		t.Run(name, func(t *testing.T) {
			s, clock, state := fresh(t)
			made := create(t, s, c.spec)
			if made.TTL != c.want || made.Left(clock.now()) != c.want || made.Expires.IsZero() != (c.want == 0) {
				t.Errorf("made for %s, %s left, until %s; want %s", made.TTL, made.Left(clock.now()), made.Expires, c.want)
			}
			if (len(made.Warnings) > 0) != c.warned || c.warned && !strings.Contains(made.Warnings[0], "capped accordingly") {
				t.Errorf("warnings %q", made.Warnings)
			}
			clock.pass(time.Hour)
			renewed, err := s.Renew(t.Context(), made, c.increment)
			if !errors.Is(err, c.refused) {
				t.Fatalf("renewing: %v, want %v", err, c.refused)
			}
			if err == nil {
				if left := renewed.Left(clock.now()); left != c.renewed {
					t.Errorf("renewed for %s, want %s", left, c.renewed)
				}
				clock.pass(c.renewed - time.Second)
				if !lives(t, s, made) {
					t.Error("it ended early")
				}
				must(t, s.Tidy(t.Context())) // which has to leave it alone
				clock.pass(time.Second)
				if lives(t, s, made) {
					t.Error("it lives on")
				}
				clock.pass(time.Second)
				gone(t, s, state)
			}
		})
	}
}

// TestMaxTTL: renewals end where the longest life does.
// that a shorter maximum came into force.
func TestMaxTTL(t *testing.T) {
	s, clock, _ := fresh(t)
	made := create(t, s, token.Spec{TTL: 700 * time.Hour})
	clock.pass(699 * time.Hour)
	for range 2 {
		renewed, err := s.Renew(t.Context(), made, 0)
		must(t, err)
		if want := 69 * time.Hour; renewed.Left(clock.now()) != want {
			t.Errorf("renewed for %s, want %s", renewed.Left(clock.now()), want)
		}
	}
	clock.pass(69 * time.Hour)
	if _, err := s.Renew(t.Context(), made, 0); !errors.Is(err, token.ErrNotFound) {
		t.Errorf("renewed after its end: %v", err)
	}
}
