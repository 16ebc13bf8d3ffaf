package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/config"
)

// TestSecretIsNeverPrinted tries each way a value gets into an output.
func TestSecretIsNeverPrinted(t *testing.T) {
	const pin = "hunter2-1234"
	s := config.NewSecret(pin)
	type hidden struct{ secret config.Secret }
	type shown struct{ Secret config.Secret }
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%t"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", &s)
		fmt.Fprintf(&out, verb+"\n", hidden{s})
		fmt.Fprintf(&out, verb+"\n", []shown{{s}})
		fmt.Fprintf(&out, verb+"\n", map[string]config.Secret{"pin": s})
	}
	for _, v := range []any{s, &s, hidden{s}, shown{s}} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "pin", s, "in", shown{s}, "hidden", hidden{s})
	}
	if strings.Contains(out.String(), pin) || strings.Contains(out.String(), fmt.Sprintf("%x", pin)) {
		t.Errorf("the PIN is in:\n%s", out.String())
	}
	if !strings.Contains(out.String(), `{"Secret":"redacted"}`) || !strings.Contains(out.String(), "pin=redacted") {
		t.Errorf("no \"redacted\" in:\n%s", out.String())
	}
}

func TestSecretRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file:" + path
	}
	t.Setenv("CONFIG_TEST_PIN", "from-env")
	t.Setenv("CONFIG_TEST_EMPTY", "")
	for _, c := range []struct{ text, want, fault string }{
		{text: "1234", want: "1234"},
		{text: "fil:1234", want: "fil:1234"},
		{text: "env:CONFIG_TEST_PIN", want: "from-env"},
		{text: write("pin", "1234\n"), want: "1234"},
		{text: write("bare", "1234"), want: "1234"},
		{text: write("two", " 1234 \n\n"), want: " 1234 \n"},
		{text: "", fault: "not set"},
		{text: "env:CONFIG_TEST_EMPTY", fault: "env:CONFIG_TEST_EMPTY holds nothing"},
		{text: "env:CONFIG_TEST_UNSET", fault: "env:CONFIG_TEST_UNSET holds nothing"},
		{text: write("empty", "\n"), fault: "holds nothing"},
		{text: write("long", strings.Repeat("x", 65<<10)), fault: "longer than"},
		{text: "file:" + filepath.Join(dir, "none"), fault: "no such file"},
		{text: "file:" + dir, fault: "is a directory"},
	} {
		got, err := config.NewSecret(c.text).Read()
		if c.fault == "" && (err != nil || got != c.want) {
			t.Errorf("%q: %q, %v", c.text, got, err)
		}
		if c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%q: error %v, want %q", c.text, err, c.fault)
		}
	}
}

// TestSecretIsReadLate replaces the file between two readings.
func TestSecretIsReadLate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pin")
	s := config.NewSecret("file:" + path)
	for _, want := range []string{"1111", "2222"} {
		if err := os.WriteFile(path, []byte(want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Read(); err != nil || got != want {
			t.Errorf("%q, %v", got, err)
		}
	}
}
