package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// The kinds of value. As in Vault, numbers and booleans may stand in quotes.
// Strings must: a bare 0123 would lose its zero.

func (b *block) str(name string, to *string) {
	b.add(name, func(v cty.Value) error {
		s, err := text(v)
		if err == nil {
			*to = s
		}
		return err
	})
}

// account is the name of a user or group, or its number.
func (b *block) account(name string, to *string) {
	b.add(name, func(v cty.Value) error {
		if v.Type() == cty.Number {
			n, ok := uint64Of(v)
			if !ok || n > 1<<32-2 {
				return errors.New("must be a name or a number")
			}
			*to = strconv.FormatUint(n, 10)
			return nil
		}
		s, err := text(v)
		if err == nil {
			*to = s
		}
		return err
	})
}

func (b *block) secret(name string, to *Secret) {
	b.add(name, func(v cty.Value) error {
		s, err := text(v)
		if err != nil {
			return err
		}
		*to = NewSecret(s)
		if name, ok := strings.CutPrefix(s, "env:"); ok {
			b.src.variables = append(b.src.variables, name)
		}
		return to.check()
	})
}

func (b *block) boolean(name string, to *bool) {
	b.add(name, func(v cty.Value) error {
		t, err := truth(v)
		if err == nil {
			*to = t
		}
		return err
	})
}

func (b *block) optionalBoolean(name string, to **bool) {
	b.add(name, func(v cty.Value) error {
		t, err := truth(v)
		if err == nil {
			*to = &t
		}
		return err
	})
}

// whole is a whole number from low to high.
func (b *block) whole(name string, to *int, low, high int) {
	b.add(name, func(v cty.Value) error {
		n, err := number(v)
		if err == nil && (n < uint64(low) || n > uint64(high)) {
			err = fmt.Errorf("must be from %d to %d", low, high)
		}
		if err == nil {
			*to = int(n)
		}
		return err
	})
}

func (b *block) optionalWhole(name string, to **int, low, high int) {
	n := new(int)
	b.whole(name, n, low, high)
	take := b.attrs[len(b.attrs)-1].take
	b.attrs[len(b.attrs)-1].take = func(v cty.Value) error {
		err := take(v)
		if err == nil {
			*to = n
		}
		return err
	}
}

// number is a whole number, in quotes also with "0x".
func (b *block) number(name string, to *uint64) {
	b.add(name, func(v cty.Value) error {
		n, err := number(v)
		if err == nil {
			*to = n
		}
		return err
	})
}

func (b *block) optionalNumber(name string, to **uint64) {
	b.add(name, func(v cty.Value) error {
		n, err := number(v)
		if err == nil {
			*to = &n
		}
		return err
	})
}

// hex is a string of octets in hexadecimal, stored without "0x" in lower case.
func (b *block) hex(name string, to *string) {
	b.add(name, func(v cty.Value) error {
		s, err := text(v)
		if err != nil {
			return err
		}
		s = strings.TrimPrefix(strings.ToLower(s), "0x")
		if _, err := hex.DecodeString(s); err != nil || s == "" {
			return errors.New("must be octets in hexadecimal, two digits each")
		}
		*to = s
		return nil
	})
}

func (b *block) list(name string, to *[]string) {
	b.add(name, func(v cty.Value) error {
		l, err := texts(v)
		if err == nil {
			*to = l
		}
		return err
	})
}

// commaList is a list, or a string with commas, as Vault has them.
func (b *block) commaList(name string, to *[]string) {
	b.add(name, func(v cty.Value) error {
		if v.Type() != cty.String {
			l, err := texts(v)
			if err == nil {
				*to = l
			}
			return err
		}
		*to = nil
		for s := range strings.SplitSeq(v.AsString(), ",") {
			*to = append(*to, strings.TrimSpace(s))
		}
		return nil
	})
}

func (b *block) stringMap(name string, to *map[string]string) {
	b.add(name, func(v cty.Value) error {
		if !v.Type().IsObjectType() && !v.Type().IsMapType() {
			return errors.New("must be a map of strings, as in { NAME = \"value\" }")
		}
		m := make(map[string]string)
		for key, e := range v.AsValueMap() {
			if e.IsNull() {
				continue
			}
			s, err := text(e)
			if err != nil {
				return fmt.Errorf("entry %q %w", key, err)
			}
			m[key] = s
		}
		*to = m
		return nil
	})
}

func (b *block) duration(name string, to *Duration) {
	b.add(name, func(v cty.Value) error {
		var s string
		switch {
		case v.Type() == cty.String:
			s = v.AsString()
		case v.Type() == cty.Number:
			n, ok := uint64Of(v)
			if !ok {
				return errDuration
			}
			s = strconv.FormatUint(n, 10)
		default:
			return errDuration
		}
		d, err := ParseDuration(s)
		if err == nil {
			*to = d
		}
		return err
	})
}

func (b *block) fileMode(name string, to *FileMode) {
	b.add(name, func(v cty.Value) error {
		if v.Type() != cty.String {
			return errFileMode
		}
		m, err := ParseFileMode(v.AsString())
		if err == nil {
			*to = m
		}
		return err
	})
}

func (b *block) level(name string, to *slog.Level) {
	b.add(name, func(v cty.Value) error {
		levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
		if v.Type() == cty.String {
			if l, ok := levels[strings.ToLower(v.AsString())]; ok {
				*to = l
				return nil
			}
		}
		return errors.New(`must be "debug", "info", "warn" or "error"`)
	})
}

func text(v cty.Value) (string, error) {
	if v.Type() != cty.String {
		return "", errors.New("must be a string in quotes")
	}
	s := v.AsString()
	if strings.ContainsRune(s, 0) {
		return "", errors.New("must not contain a zero octet")
	}
	return s, nil
}

func texts(v cty.Value) ([]string, error) {
	if !v.Type().IsTupleType() && !v.Type().IsListType() {
		return nil, errors.New(`must be a list of strings, as in ["one", "two"]`)
	}
	list := []string{}
	for _, e := range v.AsValueSlice() {
		if e.IsNull() || e.Type() == cty.String && e.AsString() == "" {
			return nil, errors.New("has an empty entry")
		}
		s, err := text(e)
		if err != nil {
			return nil, fmt.Errorf("has an entry that %w", err)
		}
		list = append(list, s)
	}
	return list, nil
}

func truth(v cty.Value) (bool, error) {
	switch {
	case v.Type() == cty.Bool:
		return v.True(), nil
	case v.Type() == cty.String:
		if t, err := strconv.ParseBool(v.AsString()); err == nil {
			return t, nil
		}
	case v.Type() == cty.Number: // Vault's own examples have tls_disable = 1
		if n, ok := uint64Of(v); ok && n <= 1 {
			return n == 1, nil
		}
	}
	return false, errors.New("must be true or false")
}

func number(v cty.Value) (uint64, error) {
	switch {
	case v.Type() == cty.Number:
		if n, ok := uint64Of(v); ok {
			return n, nil
		}
	case v.Type() == cty.String:
		s := v.AsString()
		digits, isHex := strings.CutPrefix(strings.ToLower(s), "0x")
		base := 10
		if isHex {
			base = 16
		}
		if n, err := strconv.ParseUint(digits, base, 64); err == nil {
			return n, nil
		}
	}
	return 0, errors.New("must be a whole number")
}

// uint64Of gives a number's value if it is whole, not negative and fits.
func uint64Of(v cty.Value) (uint64, bool) {
	f := v.AsBigFloat()
	if !f.IsInt() || f.Sign() < 0 || f.MantExp(nil) > 64 {
		return 0, false
	}
	n, _ := f.Uint64()
	return n, true
}
