package lint

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The modes: what an error or fatal finding does. An empty mode is Warn.
const (
	Warn    = "warn"    // the certificate is issued, with the finding among the answer's warnings
	Enforce = "enforce" // the certificate is not signed
	Off     = "off"     // nothing is looked at
)

// Settings say which lints run and what follows from their findings. The zero
// value has the lints of RFC 5280 and warns.
type Settings struct {
	Mode string `json:"mode"`
	// Waive lists names of lints that do not count: they are not run.
	Waive []string `json:"waive"`
	// Sources are sets of lints beside RFC 5280's, by zlint's names.
	Sources []string `json:"sources"`
}

// CheckMode refuses what is no mode. An empty one is one.
func CheckMode(mode string) error {
	if mode == "" || mode == Warn || mode == Enforce || mode == Off {
		return nil
	}
	return fmt.Errorf("unknown mode %q: it is %q, %q or %q", mode, Warn, Enforce, Off)
}

// Over gives the settings that hold where s is set over wider ones, as a
// role's over its mount's: each that s has takes the place of the wider one.
func (s Settings) Over(wider Settings) Settings {
	if s.Mode == "" {
		s.Mode = wider.Mode
	}
	if len(s.Waive) == 0 {
		s.Waive = wider.Waive
	}
	if len(s.Sources) == 0 {
		s.Sources = wider.Sources
	}
	return s
}

func (s *Settings) waives(name string) bool { return slices.Contains(s.Waive, name) }

// Verdict says what follows from findings: an error that names each lint that
// counts, where they are enforced, and else warnings that do. The text of the
// error is for whoever asked for the certificate.
func (s *Settings) Verdict(found []Finding) (warnings []string, err error) {
	var texts []string
	for _, f := range found {
		if f.counts() {
			texts = append(texts, f.String())
		}
	}
	if len(texts) == 0 {
		return nil, nil
	}
	if s.Mode == Enforce {
		return nil, errors.New(`not signed, as lints are enforced here: ` + strings.Join(texts, "; "))
	}
	for i, t := range texts {
		texts[i] = "lint " + t
	}
	return texts, nil
}
