package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Diagnostic is one fault or warning. It is an error that prints as
// "file:line: message", with the offending line of the file beneath.
type Diagnostic struct {
	File    string
	Line    int    // from 1; 0 for a fault of the file as a whole
	Message string // never shows a secret
	Text    string // the line, with a secret in it replaced; may be empty
}

// Error is the diagnostic for people, in one line or two.
func (d Diagnostic) Error() string {
	at := d.File
	if d.Line > 0 {
		at = fmt.Sprintf("%s:%d", d.File, d.Line)
	}
	if d.Text == "" {
		return at + ": " + d.Message
	}
	return at + ": " + d.Message + "\n\t" + d.Text
}

// Diagnostics are all faults of a file in the order of its lines. The error
// that [LoadHSMD] and [LoadPKID] give for a bad file is one of these.
type Diagnostics []Diagnostic

// Error is all of them, one after another.
func (ds Diagnostics) Error() string {
	lines := make([]string, len(ds))
	for i, d := range ds {
		lines[i] = d.Error()
	}
	return strings.Join(lines, "\n")
}

func (ds Diagnostics) sort() {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.Message, b.Message))
	})
}

// Place is where a block stands in its file.
type Place struct {
	src   *source
	line  int
	attrs map[string]int // line of each attribute that is set, negative where its value is a fault
}

func newPlace(src *source, line int) Place {
	return Place{src: src, line: line, attrs: make(map[string]int)}
}

// File is the name of the file, as it was given.
func (p Place) File() string {
	if p.src == nil {
		return ""
	}
	return p.src.name
}

// Line is the line on which the block begins, from 1.
func (p Place) Line() int { return p.line }

// Has reports whether the attribute is set in the block.
func (p Place) Has(attr string) bool { return p.attrs[attr] != 0 }

// faulty reports whether the attribute's value has been found at fault already.
func (p Place) faulty(attr string) bool { return p.attrs[attr] < 0 }

// String is "file:line".
func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File(), p.line) }

// Errorf makes a [Diagnostic] about an attribute of the block, or with "" about
// the block, for what only shows when something is built of it.
func (p Place) Errorf(attr, format string, args ...any) error {
	return p.diagnostic(attr, format, args...)
}

func (p Place) diagnostic(attr, format string, args ...any) Diagnostic {
	line := p.line
	if n := p.attrs[attr]; n != 0 {
		line = max(n, -n)
	}
	d := Diagnostic{File: p.File(), Line: line, Message: fmt.Sprintf(format, args...)}
	if p.src != nil {
		d.Text = p.src.text(line)
	}
	return d
}

// source is a file that is being read, with what was found wrong in it.
type source struct {
	name     string
	lines    []string
	faults   Diagnostics
	warnings Diagnostics
	// variables of the environment that secrets are read from.
	variables []string
}

func newSource(name string, text []byte) *source {
	return &source{name: name, lines: strings.Split(string(text), "\n")}
}

func (s *source) json() bool { return filepath.Ext(s.name) == ".json" }

func (s *source) fault(line int, format string, args ...any) {
	s.faults = append(s.faults, Diagnostic{s.name, line, fmt.Sprintf(format, args...), s.text(line)})
}

var (
	// definition is the shape of a line that may be shown: the head of a block,
	// an attribute, or the end of a block. What follows a heredoc's first line
	// has another shape, and may be a PIN.
	definition = regexp.MustCompile(`^\s*([{}]|"?[A-Za-z_][A-Za-z0-9_-]*"?\s*([={:"]|$))`)

	// secretName ends where a secret's value may begin.
	secretName = regexp.MustCompile(`(?i)\b(\w*pin|\w*passw\w*|secret_key|access_key|state_key)\b"?`)

	// userInfo is the name and password in a URL, which need not be a good one.
	userInfo = regexp.MustCompile(`://[^"\s]*@`)
)

// text is a line as it may be shown: without what follows the name of a secret,
// without who a URL is for, and empty where it cannot be told what it is.
func (s *source) text(line int) string {
	if line < 1 || line > len(s.lines) {
		return ""
	}
	text := s.lines[line-1]
	if !definition.MatchString(text) {
		return ""
	}
	if at := secretName.FindStringIndex(text); at != nil {
		text = text[:at[1]] + " = " + redacted
	}
	text = strings.TrimSpace(userInfo.ReplaceAllString(text, "://"+redacted+"@"))
	if len(text) > 160 {
		text = strings.ToValidUTF8(text[:160], "") + "…"
	}
	return text
}
