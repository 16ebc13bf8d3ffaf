package auditlog_test

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func readable(name string) bool { return strings.HasPrefix(name, "open") }

func TestConceal(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "audit.log"))
	long := strings.Repeat("x", 20<<10)
	for _, c := range []struct{ given, want string }{
		{`{"open":"a","closed":"a"}`, `{"closed":"` + l.Hash("a") + `","open":"a"}`},
		{`{"open":1,"closed":1234}`, `{"closed":"` + l.Hash("1234") + `","open":1}`},
		{`{"open":true,"closed":false,"closed2":null}`, `{"closed":false,"closed2":null,"open":true}`},
		{`{"open":["a","b"],"closed":["a",["b"]]}`, `{"closed":["` + l.Hash("a") + `",["` + l.Hash("b") + `"]],"open":["a","b"]}`},
		{`{"closed":{"open":"a"}}`, `{"closed":{"open":"` + l.Hash("a") + `"}}`},
		{`{"open":{"any":"a"}}`, `{"open":{"any":"a"}}`},
		{`{"open":"-----BEGIN EC PRIVATE KEY-----"}`, `{"open":"` + l.Hash("-----BEGIN EC PRIVATE KEY-----") + `"}`},
		{`{"open":"` + long + `"}`, `{"open":"` + l.Hash(long) + `"}`},
		{`{}`, `null`},
	} {
		var data map[string]any
		d := json.NewDecoder(strings.NewReader(c.given))
		d.UseNumber()
		must(t, d.Decode(&data))
		got, err := json.Marshal(l.Conceal(data, readable))
		must(t, err)
		if string(got) != c.want {
			t.Errorf("%.100s\n got %.300s\nwant %.300s", c.given, got, c.want)
		}
	}
}

func TestConcealIsBounded(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "audit.log"))
	fields := map[string]any{}
	for range 20 {
		fields["open"+strings.Repeat("y", len(fields))] = strings.Repeat("x", 10<<10)
	}
	list := make([]any, 100_000)
	for name, data := range map[string]map[string]any{
		"many fields": fields, "a long list": {"open": list}, "a long name": {strings.Repeat("n", 1<<20): "x"},
		"nested": {"open": map[string]any{"in": fields}, "closed": []any{fields, fields}},
	} {
		text, err := json.Marshal(l.Conceal(data, readable))
		must(t, err)
		if len(text) > 300<<10 {
			t.Errorf("%s: %d octets", name, len(text))
		}
	}
	if got := slices.Collect(maps.Keys(l.Conceal(fields, readable))); !slices.Equal(got, []string{"elided"}) {
		t.Errorf("%q", got)
	}
}

func TestRedact(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "audit.log"))
	data := map[string]any{"pin": "s3\"cret", "open": "role"}
	got := l.Redact(`pin "s3\"cret" of role, s3"cret`, data, readable)
	if want := `pin "` + l.Hash("s3\"cret") + `" of role, ` + l.Hash("s3\"cret"); got != want {
		t.Errorf("%s", got)
	}
}
