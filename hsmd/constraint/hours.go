package constraint

import (
	"fmt"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/config"
)

// hours are the spans of a week in which certificates are signed.
type hours struct {
	zone  *time.Location
	spans []span
}

// span is one span of the day, on some days of the week.
type span struct {
	days       [7]bool
	begin, end time.Duration // since midnight by the clock on the wall
}

func newHours(c *config.Constraint) (*hours, error) {
	if len(c.Hours) == 0 {
		return nil, nil
	}
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil || c.TimeZone == "Local" {
		return nil, c.Place.Errorf("time_zone", "time_zone %q: must be a name such as \"Europe/Berlin\" that this machine knows", c.TimeZone)
	}
	h := &hours{zone: zone}
	for _, text := range c.Hours {
		s, ok := parseSpan(text)
		if !ok {
			return nil, c.Place.Errorf("hours", "hours %q: must be like \"Mon-Fri 08:00-18:00\" or \"Sat 10:00-24:00\"", text)
		}
		h.spans = append(h.spans, s)
	}
	return h, nil
}

func parseSpan(text string) (s span, ok bool) {
	days, clock, _ := strings.Cut(text, " ")
	first, last, ranged := strings.Cut(days, "-")
	if !ranged {
		last = first
	}
	from, ok1 := weekday(first)
	to, ok2 := weekday(last)
	begin, end, ok3 := strings.Cut(clock, "-")
	if !ok1 || !ok2 || !ok3 {
		return s, false
	}
	for d := from; ; d = (d + 1) % 7 {
		s.days[d] = true
		if d == to {
			break
		}
	}
	var ok4, ok5 bool
	s.begin, ok4 = timeOfDay(begin)
	s.end, ok5 = timeOfDay(end)
	return s, ok4 && ok5 && s.begin < s.end
}

func weekday(s string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if s == d.String()[:3] {
			return d, true
		}
	}
	return 0, false
}

func timeOfDay(s string) (time.Duration, bool) {
	var hour, minute int
	if n, err := fmt.Sscanf(s, "%02d:%02d", &hour, &minute); n != 2 || err != nil || len(s) != len("08:00") {
		return 0, false
	}
	d := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
	return d, hour >= 0 && minute >= 0 && minute < 60 && d <= 24*time.Hour
}

func (h *hours) contain(now time.Time) bool {
	local := now.In(h.zone)
	hour, minute, second := local.Clock()
	clock := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second
	for _, s := range h.spans {
		if s.days[local.Weekday()] && s.begin <= clock && clock < s.end {
			return true
		}
	}
	return false
}
