package tbs

import (
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// readTime takes a Time of a certificate or CRL: UTCTime for 1950 through 2049,
// GeneralizedTime from 2050 on (RFC 5280, section 4.1.2.5).
func readTime(in *cryptobyte.String) (time.Time, bool) {
	value, ok := takeWhole(in)
	if !ok {
		return time.Time{}, false
	}
	return parseTime(value.tag, value.body)
}

func parseTime(tag byte, body []byte) (time.Time, bool) {
	switch tag {
	case tagUTCTime:
		if len(body) != len("YYMMDDhhmmssZ") {
			return time.Time{}, false
		}
		year, ok := digits(body[:2])
		if year < 50 {
			year += 100
		}
		t, sound := clock(1900+year, body[2:])
		return t, ok && sound
	case tagGeneralized:
		t, ok := generalizedTime(body)
		return t, ok && t.Year() >= 2050
	}
	return time.Time{}, false
}

// generalizedTime parses YYYYMMDDhhmmssZ: seconds, no fraction, Z (RFC 5280,
// section 4.1.2.5.2).
func generalizedTime(body []byte) (time.Time, bool) {
	if len(body) != len("YYYYMMDDhhmmssZ") {
		return time.Time{}, false
	}
	century, ok1 := digits(body[:2])
	year, ok2 := digits(body[2:4])
	t, ok3 := clock(100*century+year, body[4:])
	return t, ok1 && ok2 && ok3
}

// clock parses MMDDhhmmssZ. A date that the calendar does not have is refused.
func clock(year int, s []byte) (time.Time, bool) {
	var field [5]int
	for i := range field {
		var ok bool
		if field[i], ok = digits(s[2*i : 2*i+2]); !ok {
			return time.Time{}, false
		}
	}
	month, day, hour, minute, second := field[0], field[1], field[2], field[3], field[4]
	if s[10] != 'Z' || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	return t, day > 0 && t.Day() == day
}

func digits(s []byte) (int, bool) {
	a, b := s[0]-'0', s[1]-'0'
	return 10*int(a) + int(b), a <= 9 && b <= 9
}

// notAhead refuses a time that lies in the future.
func (p *parser) notAhead(what string, t time.Time) error {
	if t.After(p.rules.Now.Add(MaxAhead)) {
		return forbidden("has a %s (%s) that is more than %s ahead of hsmd's clock", what, t.Format(time.RFC3339), MaxAhead)
	}
	return nil
}
