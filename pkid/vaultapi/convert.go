package vaultapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// String is a text, "" if it was not given. Numbers and booleans are texts too.
func (p *Params) String(name string) string {
	s, err := asString(p.value(name))
	if err != nil {
		p.fail(name, err)
	}
	return s
}

// Bool is a boolean, def if it was not given.
func (p *Params) Bool(name string, def bool) bool {
	switch v := p.value(name).(type) {
	case nil:
		return def
	case bool:
		return v
	default:
		s, err := asString(v)
		if err == nil {
			var b bool
			if b, err = strconv.ParseBool(s); err == nil {
				return b
			}
			err = fmt.Errorf("%q is not a boolean", s)
		}
		p.fail(name, err)
		return def
	}
}

// Int is an integer, def if it was not given.
func (p *Params) Int(name string, def int) int {
	v := p.value(name)
	if v == nil {
		return def
	}
	n, err := asInt(v)
	if err != nil {
		p.fail(name, err)
		return def
	}
	return n
}

// Duration is a time span, def if it was not given: "72h", "30d", "3600" or
// 3600, the last two in seconds.
func (p *Params) Duration(name string, def time.Duration) time.Duration {
	v := p.value(name)
	if v == nil {
		return def
	}
	s, err := asString(v)
	if err == nil {
		var d time.Duration
		if d, err = ParseDuration(s); err == nil {
			return d
		}
	}
	p.fail(name, err)
	return def
}

// StringList is a list, nil if it was not given: a JSON array, whose elements
// are taken whole, or a text that is split at commas. Blanks around an element
// and empty elements are dropped.
func (p *Params) StringList(name string) []string {
	var out []string
	keep := func(s string) {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	switch v := p.value(name).(type) {
	case nil:
	case []any:
		for _, e := range v {
			s, err := asString(e)
			if err != nil {
				p.fail(name, err)
				return nil
			}
			keep(s)
		}
	case []string:
		for _, s := range v {
			keep(s)
		}
	default:
		s, err := asString(v)
		if err != nil {
			p.fail(name, err)
			return nil
		}
		for e := range strings.SplitSeq(s, ",") {
			keep(e)
		}
	}
	return out
}

// Map is a JSON object, nil if it was not given.
func (p *Params) Map(name string) map[string]any {
	switch v := p.value(name).(type) {
	case nil:
		return nil
	case map[string]any:
		return v
	case string:
		// Forms and the command line have no objects; they send them as text.
		if object, err := decodeObject([]byte(v)); err == nil {
			return object
		}
	}
	p.fail(name, errors.New("not an object"))
	return nil
}

// Objects is a list of JSON objects, nil if it was not given. One object is a
// list of one.
func (p *Params) Objects(name string) []map[string]any {
	value := p.value(name)
	if text, ok := value.(string); ok { // forms and the command line
		var err error
		if value, err = decodeText([]byte(text)); err != nil {
			p.fail(name, err)
			return nil
		}
	}
	switch v := value.(type) {
	case nil:
		return nil
	case map[string]any:
		return []map[string]any{v}
	case []any:
		var out []map[string]any
		for _, e := range v {
			object, ok := e.(map[string]any)
			if !ok {
				p.fail(name, fmt.Errorf("expected a list of objects, got %s in it", kindOf(e)))
				return nil
			}
			out = append(out, object)
		}
		return out
	}
	p.fail(name, fmt.Errorf("expected a list of objects, got %s", kindOf(value)))
	return nil
}

// ParseDuration reads a time span of the API: a whole number of seconds, or
// numbers with units, of which "d" is 24 hours. Negative spans and such as do
// not fit are refused.
func ParseDuration(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if seconds, err := strconv.ParseInt(s, 10, 64); err == nil {
		if seconds < 0 || seconds > math.MaxInt64/int64(time.Second) {
			return 0, badDuration(s)
		}
		return time.Duration(seconds) * time.Second, nil
	}
	var total time.Duration
	rest := s
	if days, after, found := strings.Cut(s, "d"); found {
		n, err := strconv.ParseInt(days, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/int64(24*time.Hour) {
			return 0, badDuration(s)
		}
		total, rest = time.Duration(n)*24*time.Hour, after
		if rest == "" {
			return total, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || total+d < 0 {
		return 0, badDuration(s)
	}
	return total + d, nil
}

func badDuration(s string) error {
	return fmt.Errorf("time: invalid duration %q: it is a number of seconds, or numbers with units such as 72h or 30d, and up to 292 years", s)
}

func asString(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case json.Number:
		return v.String(), nil
	case int:
		return strconv.Itoa(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	return "", fmt.Errorf("expected a text, got %s", kindOf(v))
}

func asInt(v any) (int, error) {
	if b, ok := v.(bool); ok {
		return 0, fmt.Errorf("expected a number, got %v", b)
	}
	s, err := asString(v)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", s)
	}
	return n, nil
}

func kindOf(v any) string {
	switch v.(type) {
	case []any, []string:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return fmt.Sprintf("%T", v)
}
