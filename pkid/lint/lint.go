// Package lint looks at a certificate or CRL before it is signed, with zlint's
// lints of RFC 5280 and, by setting, of the CA/Browser Forum and of root
// programs. Nothing is signed for it: it gets the bytes that are to be signed,
// with a dummy in the place of the signature. It knows nothing of storage,
// roles or keys.
//
// Start with [Settings.Certificate] and [Settings.Verdict]. What a CA of this
// project brings to light with its defaults, what linting costs and which part
// of a long CRL is looked at stand in README.md.
package lint

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3/lint"
)

// Level is how grave a finding is.
type Level string

// zlint's levels, the least first. The first two are for whoever reads
// findings; errors and fatal findings count in a verdict.
const (
	LevelInfo  Level = "info"
	LevelWarn  Level = "warn"
	LevelError Level = "error"
	LevelFatal Level = "fatal"
)

// Finding is what one lint has to say of a certificate or CRL.
type Finding struct {
	Lint   string // zlint's name, or NameParse
	Level  Level
	Detail string // what is wrong, with where it is written that it is
}

// String is the finding in one line, its lint first.
func (f Finding) String() string { return fmt.Sprintf("%s (%s): %s", f.Lint, f.Level, f.Detail) }

// counts reports whether a certificate may be refused for it.
func (f Finding) counts() bool { return f.Level == LevelError || f.Level == LevelFatal }

// NameParse is the name of the finding, ours, that zlint's parser could not
// read what it got, so that no lint has seen it.
const NameParse = "parse"

// maxDetail bounds a finding's detail, in octets: some repeat every name.
const maxDetail = 300

// Certificate runs the lints over a certificate (DER) and gives what they found
// in order of name, waived lints left out. There are none if the mode is Off.
// Whether it is one that its own key will sign, a root, has to be told: a dummy
// does not show it.
func (s *Settings) Certificate(der []byte, selfSigned bool) []Finding {
	if s.Mode == Off {
		return nil
	}
	return s.run(func(look *looking) error {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		cert.SelfSigned = selfSigned
		for _, l := range known().certificate {
			if look.wants(l.source, l.lint.Name) {
				look.note(&l.lint.LintMetadata, l.lint.Execute(cert, emptyConfig))
			}
		}
		return nil
	})
}

// emptyConfig leaves each lint that can be configured as zlint has it.
var emptyConfig = lint.NewEmptyConfig()

// looking is one certificate's or CRL's way through the lints.
type looking struct {
	settings *Settings
	sources  uint32
	found    []Finding
	current  string // the lint that is running, or NameParse
}

// run gathers what look notes. A panic in the parser or in a lint (zlint
// recovers only from those in lints of certificates) is a fatal finding: what
// strangers can put into a certificate must not end a request without an answer.
func (s *Settings) run(lints func(*looking) error) (found []Finding) {
	look := &looking{settings: s, sources: mask(s.Sources), current: NameParse}
	defer func() {
		if p := recover(); p != nil {
			look.add(look.current, LevelFatal, fmt.Sprintf("panicked: %v", p))
		}
		found = look.found
	}()
	if err := lints(look); err != nil {
		look.add(NameParse, LevelFatal, "zlint's parser cannot read it: "+err.Error())
	}
	return nil
}

// wants reports whether a lint is to run, and remembers it as the one that does.
func (l *looking) wants(source uint32, name string) bool {
	l.current = name
	return l.sources&source != 0 && !l.settings.waives(name)
}

func (l *looking) note(m *lint.LintMetadata, r *lint.LintResult) {
	if r.Status < lint.Notice {
		return
	}
	detail := cmp.Or(r.Details, m.Description)
	if m.Citation != "" {
		detail += " (" + m.Citation + ")"
	}
	l.add(m.Name, Level(r.Status.String()), detail)
}

func (l *looking) add(name string, level Level, detail string) {
	if l.settings.waives(name) {
		return
	}
	detail = strings.ToValidUTF8(detail, "�") // some quote what is in the certificate
	if len(detail) > maxDetail {
		end := maxDetail
		for !utf8.RuneStart(detail[end]) {
			end--
		}
		detail = detail[:end] + "…"
	}
	l.found = append(l.found, Finding{Lint: name, Level: level, Detail: detail})
}
