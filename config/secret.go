package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// maxSecret bounds the file behind a secret, in octets.
const maxSecret = 64 << 10

// Secret is a PIN or a key, mostly by reference: "file:/path" or "env:NAME".
// What it stands for is read when it is needed, by [Secret.Read], so that a
// file may be replaced while the daemon runs. However a Secret is printed,
// logged or encoded, "redacted" comes out. The zero value is not set.
type Secret struct {
	// Behind a pointer, because fmt prints the fields of unexported structs
	// without asking their methods; of a pointer it prints the address.
	text *string
}

// NewSecret makes a Secret of a reference or of the secret itself.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// IsSet reports whether there is a secret at all.
func (s Secret) IsSet() bool { return s.text != nil }

// Reference is what the secret is read from, "file:/path" or "env:NAME", which
// may be shown. It is empty for a literal and for what is not set.
func (s Secret) Reference() string {
	if s.text != nil && (strings.HasPrefix(*s.text, "file:") || strings.HasPrefix(*s.text, "env:")) {
		return *s.text
	}
	return ""
}

// Read gives the secret. One newline at the end of a file is not part of it.
// A secret that is empty, or cannot be read, is an error that names the
// reference.
func (s Secret) Read() (string, error) {
	if s.text == nil {
		return "", errors.New("the secret is not set")
	}
	ref := s.Reference()
	var value string
	var err error
	if path, ok := strings.CutPrefix(ref, "file:"); ok {
		value, err = readSecretFile(path)
	} else if name, ok := strings.CutPrefix(ref, "env:"); ok {
		value = os.Getenv(name)
	} else {
		return *s.text, nil
	}
	if err != nil {
		return "", err
	}
	if value == "" {
		return "", fmt.Errorf("%s holds nothing", ref)
	}
	return value, nil
}

func readSecretFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxSecret {
		return "", fmt.Errorf("%s: longer than %d octets", path, maxSecret)
	}
	return strings.TrimSuffix(string(b), "\n"), nil
}

// check says what is wrong with a reference.
func (s Secret) check() error {
	ref := s.Reference()
	if path, ok := strings.CutPrefix(ref, "file:"); ok && !filepath.IsAbs(path) {
		return fmt.Errorf(`%q: needs an absolute path after "file:"`, ref)
	}
	if name, ok := strings.CutPrefix(ref, "env:"); ok && (name == "" || strings.ContainsAny(name, "= \t\x00")) {
		return fmt.Errorf(`%q: needs the name of a variable after "env:"`, ref)
	}
	return nil
}

const redacted = "redacted"

// String is "redacted", or "not set".
func (s Secret) String() string {
	if s.text == nil {
		return "not set"
	}
	return redacted
}

// GoString is what String is.
func (s Secret) GoString() string { return s.String() }

// Format writes what String gives, for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// MarshalText writes what String gives; JSON and YAML come here too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON writes what String gives.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// LogValue is what String is.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
