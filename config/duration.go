package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a span of time. It is written as Go writes it ("72h", "1h30m"),
// in days ("30d"), or as a number of seconds (3600 or "3600"), and is never
// negative.
type Duration time.Duration

var errDuration = errors.New(`must be a duration such as "72h", "30d" or 3600 (seconds)`)

// ParseDuration reads a duration in any of its forms.
func ParseDuration(s string) (Duration, error) {
	unit := time.Second
	digits := s
	if strings.HasSuffix(s, "d") {
		digits, unit = strings.TrimSuffix(s, "d"), 24*time.Hour
	}
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
		if n < 0 || n > math.MaxInt64/int64(unit) {
			return 0, errDuration
		}
		return Duration(time.Duration(n) * unit), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errDuration
	}
	return Duration(d), nil
}

// Std is the duration as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String writes it as Go does.
func (d Duration) String() string { return time.Duration(d).String() }
