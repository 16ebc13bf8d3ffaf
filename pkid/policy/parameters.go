package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// parameters are values by name in small letters; "*" is any name that is not
// there, and no values are any value.
type parameters map[string][]value

// value is a string, a bool or a float64 of a policy.
type value any

// merge is what one rule says of parameters with what another of the same path
// says: of any value there is no more to say.
func (p parameters) merge(other parameters) parameters {
	if p == nil && len(other) > 0 {
		p = parameters{}
	}
	for name, values := range other {
		if old, is := p[name]; len(values) == 0 || is && len(old) == 0 {
			p[name] = nil
		} else {
			p[name] = slices.Concat(old, values)
		}
	}
	return p
}

func (l *limits) merge(other *limits) {
	for _, name := range other.required {
		if !slices.Contains(l.required, name) {
			l.required = append(l.required, name)
		}
	}
	l.allowed = l.allowed.merge(other.allowed)
	l.denied = l.denied.merge(other.denied)
	l.minWrapTTL = shorter(l.minWrapTTL, other.minWrapTTL)
	l.maxWrapTTL = shorter(l.maxWrapTTL, other.maxWrapTTL)
}

// letThrough reports whether a request with these parameters may pass.
func (l *limits) letThrough(sent map[string]any) bool {
	for _, name := range l.required {
		if !given(sent, name) {
			return false
		}
	}
	if _, all := l.denied["*"]; all && len(sent) > 0 {
		return false
	}
	_, others := l.allowed["*"]
	for name, got := range sent {
		name = strings.ToLower(name)
		if values, named := l.denied[name]; named && (len(values) == 0 || anyPart(got, values)) {
			return false
		}
		if len(l.allowed) == 0 {
			continue
		}
		values, named := l.allowed[name]
		if !named && !others || len(values) > 0 && !everyPart(got, values) {
			return false
		}
	}
	return true
}

// given reports whether a parameter has a value: null and "" are as good as
// nothing to those who read it.
func given(sent map[string]any, name string) bool {
	v, is := sent[name]
	return is && v != nil && v != ""
}

// anyPart reports whether a value, or a part of it, is among the listed.
func anyPart(got any, values []value) bool {
	return among(got, values) || slices.ContainsFunc(parts(got), func(part any) bool { return among(part, values) })
}

// everyPart reports whether a value is among the listed as it stands, or each
// of its parts is: with "*.example.com" listed, "evil.org,a.example.com" is not.
func everyPart(got any, values []value) bool {
	if text, is := got.(string); is && slices.Contains(values, value(text)) {
		return true
	}
	all := parts(got)
	return len(all) > 0 && !slices.ContainsFunc(all, func(part any) bool { return !among(part, values) })
}

// parts takes a list apart as package vaultapi does: a JSON array, or a text
// with commas.
func parts(got any) []any {
	switch v := got.(type) {
	case []any:
		var all []any
		for _, element := range v {
			all = append(all, parts(element)...)
		}
		return all
	case []string:
		var all []any
		for _, element := range v {
			all = append(all, parts(element)...)
		}
		return all
	case string:
		var all []any
		for part := range strings.SplitSeq(v, ",") {
			all = append(all, strings.TrimSpace(part))
		}
		return all
	}
	return []any{got}
}

func among(got any, values []value) bool {
	var text string
	switch v := got.(type) {
	case string:
		text = v
	case json.Number, bool, float64, int:
		text = fmt.Sprint(v)
	default:
		return false
	}
	return slices.ContainsFunc(values, func(want value) bool { return equal(want, text) })
}

// equal compares in the sense of the policy's value, since a boolean or a
// number may arrive as a text.
func equal(want value, text string) bool {
	switch w := want.(type) {
	case bool:
		got, err := strconv.ParseBool(text)
		return err == nil && got == w
	case float64:
		got, err := strconv.ParseFloat(text, 64)
		return err == nil && got == w
	case string:
		return glob(w, text)
	}
	return false
}

// glob matches with a "*" at either end. One letter is itself, be it a "*".
func glob(want, text string) bool {
	if len(want) < 2 {
		return text == want
	}
	tail, front := strings.CutPrefix(want, "*")
	head, back := strings.CutSuffix(want, "*")
	switch {
	case front && back:
		return strings.Contains(text, strings.TrimSuffix(tail, "*"))
	case front:
		return strings.HasSuffix(text, tail)
	case back:
		return strings.HasPrefix(text, head)
	}
	return text == want
}
