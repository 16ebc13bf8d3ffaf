package auditlog

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Each field of an entry, alone and with all others, is written as encoding/json
// writes it; one that the encoder forgets fails here.
func TestEncode(t *testing.T) {
	same := func(name string, e *Entry) {
		t.Helper()
		want, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.encode(); err != nil || string(got) != string(want[1:]) {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, want[1:])
		}
	}
	var full Entry
	all := reflect.ValueOf(&full).Elem()
	for i := range all.NumField() {
		name := all.Type().Field(i).Name
		for _, value := range samples(t, name, all.Field(i).Type()) {
			var e Entry
			reflect.ValueOf(&e).Elem().Field(i).Set(value)
			same(name, &e)
			all.Field(i).Set(value)
			same("all up to "+name, &full)
		}
	}
}

// samples gives values of a field's type, the last of them not empty.
func samples(t *testing.T, name string, of reflect.Type) (out []reflect.Value) {
	t.Helper()
	odd := []string{"", "a<b>&c", "a\"b\\c\n\x00\x7f", "é\u2028\U0001f512", "a\xffb", "CN=www.example.com,O=Example"}
	zone := time.FixedZone("", 5*3600+1800)
	for _, v := range []any{
		odd[1], odd[2], odd[3], odd[4], odd[5], Kind(odd[1]), Certificate, true, int(-7), int(12), int64(-1 << 62), int64(1 << 62),
		[]string{}, odd, []string{"dns:www.example.com"}, []byte{}, []byte{0}, []byte("some octets"), Hash{31: 1}, Hash{1, 2},
		&Peer{}, &Peer{UID: 1<<32 - 1, GID: 7, PID: -1, Client: []string{}}, &Peer{UID: 1, Client: odd},
		time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(2026, 11, 25, 12, 0, 0, 120_000_000, zone), time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
	} {
		if reflect.TypeOf(v) == of {
			out = append(out, reflect.ValueOf(v))
		}
	}
	if len(out) == 0 {
		t.Fatalf("no samples for %s, which is a %s", name, of)
	}
	return out
}

func TestEncodeRefusesYears(t *testing.T) {
	_, err := (&Entry{Kind: Start, NotAfter: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}).encode()
	if err == nil || !strings.Contains(err.Error(), "year") {
		t.Errorf("the year 10000: %v", err)
	}
}
