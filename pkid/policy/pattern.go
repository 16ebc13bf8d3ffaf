package policy

import (
	"cmp"
	"errors"
	"strings"
)

// pattern is the path of a rule: an exact path, a prefix ("pki/*"), or one with
// segments of which any will do ("pki/+/web"), which may be a prefix as well.
// A "*" anywhere but at the end, and a "+" beside other letters, stand for
// themselves, as in Vault.
type pattern struct {
	text     string   // as written, less a leading slash
	stem     string   // less the "*" at the end, too
	prefix   bool     // it had one
	segments []string // of stem, nil where no segment begins with "+"
	plus     int      // how many segments are "+"
	wildcard int      // where the first "+" or the final "*" stands
}

func newPattern(text string) (pattern, error) {
	text = strings.TrimPrefix(text, "/")
	if strings.Contains(text, "+*") {
		return pattern{}, errors.New(`"+*" is forbidden: "+" stands for a whole segment`)
	}
	p := pattern{text: text}
	p.stem, p.prefix = strings.CutSuffix(text, "*")
	p.wildcard = len(p.stem)
	if text == "+" || strings.HasPrefix(text, "+/") || strings.Contains(text, "/+") {
		p.segments = strings.Split(p.stem, "/")
		p.wildcard = strings.Index(text, "+")
	}
	for _, s := range p.segments {
		if s == "+" {
			p.plus++
		}
	}
	return p, nil
}

// exact reports whether the pattern is of one path only.
func (p *pattern) exact() bool { return !p.prefix && p.segments == nil }

func (p *pattern) match(path string) bool {
	switch {
	case p.exact():
		return path == p.stem
	case p.segments == nil:
		return strings.HasPrefix(path, p.stem)
	}
	last := len(p.segments) - 1
	for i, want := range p.segments {
		got, rest, more := strings.Cut(path, "/")
		if p.prefix && i == last {
			return strings.HasPrefix(got, want)
		}
		if want != "+" && got != want || more != (i < last) {
			return false
		}
		path = rest
	}
	return true
}

// reaches reports whether a path below a folder can match a pattern that is not
// exact.
func (p *pattern) reaches(folder string) bool {
	if p.segments == nil {
		return strings.HasPrefix(folder, p.stem) || strings.HasPrefix(p.stem, folder)
	}
	last := len(p.segments) - 1
	for i, want := range p.segments {
		got, rest, more := strings.Cut(folder, "/")
		switch {
		case !more:
			return true // all of the folder's own segments match
		case p.prefix && i == last:
			return strings.HasPrefix(got, want)
		case want != "+" && got != want:
			return false
		}
		folder = rest
	}
	return false // it is of a shorter path
}

// compare puts the pattern that wins over another first: the one whose first
// wildcard comes later, then the one without a "*" at the end, then the one
// with fewer "+", then the longer one, then the larger text.
func (p *pattern) compare(other *pattern) int {
	return cmp.Or(
		cmp.Compare(other.wildcard, p.wildcard),
		trueLast(p.prefix, other.prefix),
		cmp.Compare(p.plus, other.plus),
		cmp.Compare(len(other.stem), len(p.stem)),
		strings.Compare(other.stem, p.stem),
	)
}

func trueLast(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
