package config

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
)

// maxFile bounds a configuration file, in octets.
const maxFile = 256 << 10

// maxNesting bounds how deep brackets may be nested in a file: the parser
// recurses, and the grammar needs no more than four.
const maxNesting = 64

// LoadHSMD reads hsmd's file. Where the file can be read but is not a good one,
// the error is a [Diagnostics] with all its faults.
func LoadHSMD(path string) (*HSMD, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return ParseHSMD(path, text)
}

// LoadPKID reads pkid's file, as [LoadHSMD] does hsmd's.
func LoadPKID(path string) (*PKID, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return ParsePKID(path, text)
}

// ParseHSMD is LoadHSMD for text that has been read from a file of that name.
func ParseHSMD(name string, text []byte) (*HSMD, error) {
	var c HSMD
	src := newSource(name, text)
	if src.decode(text, c.fields) {
		c.defaults()
		c.validate(src)
	}
	if err := src.err(); err != nil {
		return nil, err
	}
	slices.Sort(src.variables)
	withheld := slices.Compact(src.variables)
	for i := range c.Libraries {
		c.Libraries[i].Withheld = withheld
	}
	c.Warnings = src.warnings
	return &c, nil
}

// ParsePKID is LoadPKID for text that has been read from a file of that name.
func ParsePKID(name string, text []byte) (*PKID, error) {
	var c PKID
	src := newSource(name, text)
	if src.decode(text, c.fields) {
		c.defaults()
		c.validate(src)
		c.refuseUnbuilt(src)
	}
	if err := src.err(); err != nil {
		return nil, err
	}
	c.Warnings = src.warnings
	return &c, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return text, nil
}

// decode parses the text and reads it as fields says. It reports whether there
// was anything to read: after an error of syntax nothing else is looked for,
// because the parser's guess at what was meant would be complained about too.
func (s *source) decode(text []byte, fields func(*block)) bool {
	if len(text) > maxFile {
		s.fault(0, "longer than %d octets", maxFile)
		return false
	}
	if line := tooDeep(text); line > 0 {
		s.fault(line, "brackets are nested deeper than %d", maxNesting)
		return false
	}
	var file *hcl.File
	var diags hcl.Diagnostics
	if s.json() {
		file, diags = hclparse.NewParser().ParseJSON(text, s.name)
	} else {
		file, diags = hclparse.NewParser().ParseHCL(text, s.name)
	}
	syntax := false
	for _, d := range diags {
		s.parserFault(d)
		syntax = syntax || d.Summary != "Attribute redefined"
	}
	if syntax || file == nil || file.Body == nil {
		return false
	}
	b := &block{src: s, body: file.Body, place: newPlace(s, 1)}
	fields(b)
	b.read()
	return true
}

// tooDeep gives the line at which brackets are nested too deep, else 0. It
// counts brackets in strings and comments as well, where nobody writes that
// many openings without closings.
func tooDeep(text []byte) int {
	depth := 0
	for i, c := range text {
		switch c {
		case '(', '[', '{':
			if depth++; depth > maxNesting {
				return 1 + bytes.Count(text[:i], []byte("\n"))
			}
		case ')', ']', '}':
			depth = max(0, depth-1)
		}
	}
	return 0
}

// parserFault takes a fault that the HCL library found. Its Detail may quote
// what stands in the file, so on a line that may hold a secret only the Summary
// is used, which does not.
func (s *source) parserFault(d *hcl.Diagnostic) {
	line := 0
	if d.Subject != nil {
		line = d.Subject.Start.Line
	}
	message := d.Detail
	if text := s.text(line); message == "" || text == "" || strings.HasSuffix(text, redacted) {
		message = d.Summary
	}
	s.fault(line, "%s", sentence(message))
}

// sentence makes a library's message one of ours: no capital, no full stop.
func sentence(message string) string {
	message = strings.TrimSuffix(strings.TrimSpace(message), ".")
	if len(message) > 1 && message[1] >= 'a' && message[1] <= 'z' || strings.HasPrefix(message, "A ") {
		message = strings.ToLower(message[:1]) + message[1:]
	}
	return message
}

func (s *source) err() error {
	if len(s.faults) == 0 {
		s.warnings.sort()
		return nil
	}
	s.faults.sort()
	return s.faults
}
