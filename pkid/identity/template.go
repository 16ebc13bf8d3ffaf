package identity

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Template is a text with parts that are filled in with who asks:
// "secret/{{identity.entity.aliases.auth_cert_1.name}}/*".
type Template []part

// part is a literal or, if the accessor is not "", what is known of whoever has
// logged in at the mount that has it.
type part struct {
	literal  string
	accessor string
	metadata string // the key; "": the name
}

const aliases = "identity.entity.aliases."

// ParseTemplate takes a text apart, nil if nothing in it is to be filled in.
func ParseTemplate(text string) (Template, error) {
	var t Template
	for rest := text; ; {
		literal, after, opened := strings.Cut(rest, "{{")
		if strings.Contains(literal, "}}") {
			return nil, errors.New(`"}}" closes no "{{"`)
		}
		if !opened && t == nil {
			return nil, nil
		}
		t = append(t, part{literal: literal})
		if !opened {
			return t, nil
		}
		parameter, after, closed := strings.Cut(after, "}}")
		if !closed {
			return nil, errors.New(`"{{" is not closed`)
		}
		filled, err := parseParameter(strings.TrimSpace(parameter))
		if err != nil {
			return nil, err
		}
		t, rest = append(t, filled), after
	}
}

func parseParameter(text string) (part, error) {
	rest, known := strings.CutPrefix(text, aliases)
	accessor, field, _ := strings.Cut(rest, ".")
	key, isMetadata := strings.CutPrefix(field, "metadata.")
	switch {
	case !known:
		return part{}, fmt.Errorf(`{{%s}}: there is no store of identities here; of templates there are {{%sACCESSOR.name}} and {{%[2]sACCESSOR.metadata.KEY}}`, text, aliases)
	case accessor == "":
		return part{}, fmt.Errorf("{{%s}}: the accessor of a login's mount is missing", text)
	case field == "name":
		return part{accessor: accessor}, nil
	case isMetadata && key != "":
		return part{accessor: accessor, metadata: key}, nil
	}
	return part{}, fmt.Errorf("{{%s}}: of an alias there are name and metadata.KEY", text)
}

// ErrUnfit is of a value that would be more than a part of one segment of a path,
// or of a name, and so change the meaning of what is around it.
var ErrUnfit = errors.New("what a template stands for is no part of a path")

// Fill gives the text for whoever has an alias, nil being somebody who has not
// logged in; false if it asks for what is not known of him.
func (t Template) Fill(alias *Alias) (text string, known bool, err error) {
	for _, p := range t {
		value, is := p.literal, true
		if p.accessor != "" {
			if value, is = p.valueOf(alias); !is {
				return "", false, nil
			}
			if !fit(value) {
				return "", false, ErrUnfit
			}
		}
		text += value
	}
	return text, true, nil
}

func (p part) valueOf(alias *Alias) (value string, is bool) {
	switch {
	case alias == nil || alias.Accessor != p.accessor:
		return "", false
	case p.metadata == "":
		return alias.Name, true
	}
	value, is = alias.Metadata[p.metadata]
	return value, is
}

// fit reports whether a value is a part of one segment of a path and no pattern.
func fit(value string) bool {
	return value != "" && value != "+" && utf8.ValidString(value) && !strings.ContainsAny(value, "/*{}") &&
		!strings.ContainsFunc(value, unicode.IsControl)
}
