// Package softhsm makes SoftHSM tokens for tests: real ones, each in a folder
// of its own, so that no test sees another's keys.
//
// It knows nothing of our daemons. Start at [New].
package softhsm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/secret"
)

// The PINs of every token here. They are long and odd so that a search for one
// in a log or a state folder finds nothing else.
const (
	PIN   = "user-pin-83b1f5"
	SOPIN = "so-pin-d04c77e2"
)

// Store is one SoftHSM installation: a configuration and the folder of its
// tokens.
type Store struct {
	Dir     string // holds everything
	Conf    string // path of softhsm2.conf, for SOFTHSM2_CONF
	Tokens  string // folder of the tokens' files
	Library string // path of libsofthsm2.so
}

// Token is one initialised token.
type Token struct {
	*Store
	Label  string
	PIN    string
	SOPIN  string
	Slot   uint64
	Serial string
}

// New makes a store with one token labelled "ca", removed at the test's end.
func New(t testing.TB) *Token {
	t.Helper()
	return NewStore(t).Add(t, "ca")
}

// NewStore makes a store without tokens, removed at the test's end.
func NewStore(t testing.TB) *Store {
	t.Helper()
	dir := t.TempDir()
	s := &Store{Dir: dir, Conf: filepath.Join(dir, "softhsm2.conf"), Tokens: filepath.Join(dir, "tokens"), Library: findLibrary(t)}
	if err := os.Mkdir(s.Tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	conf := "directories.tokendir = " + s.Tokens + "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
	if err := os.WriteFile(s.Conf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// Add initialises one more token. The label need not be new: two tokens alike
// are a case that the daemons must tell.
func (s *Store) Add(t testing.TB, label string) *Token {
	t.Helper()
	out := s.Util(t, "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", SOPIN)
	found := regexp.MustCompile(`reassigned to slot (\d+)`).FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("softhsm2-util did not say the slot: %s", out)
	}
	slot, err := strconv.ParseUint(found[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	secret.Add("a token's PIN", PIN)
	secret.Add("a token's SO PIN", SOPIN)
	return &Token{Store: s, Label: label, PIN: PIN, SOPIN: SOPIN, Slot: slot, Serial: s.serial(t, slot)}
}

// Clone is a copy of the token in a store of its own, with the same keys, as a
// vendor's tools make one of an HSM. The token is the only one of its store.
func (k *Token) Clone(t testing.TB) *Token {
	t.Helper()
	s := NewStore(t)
	if err := os.CopyFS(s.Tokens, os.DirFS(k.Tokens)); err != nil {
		t.Fatal(err)
	}
	return &Token{Store: s, Label: k.Label, PIN: k.PIN, SOPIN: k.SOPIN, Slot: k.Slot, Serial: k.Serial}
}

func (s *Store) serial(t testing.TB, slot uint64) string {
	t.Helper()
	out := s.Util(t, "--show-slots")
	_, of, ok := strings.Cut(out, fmt.Sprintf("Slot %d\n", slot))
	found := regexp.MustCompile(`Serial number:\s*(\S+)`).FindStringSubmatch(of)
	if !ok || found == nil {
		t.Fatalf("softhsm2-util shows no serial number of slot %d:\n%s", slot, out)
	}
	return found[1]
}

// Env is what a process needs in its environment to see the store's tokens, and
// no others.
func (s *Store) Env() []string { return []string{"SOFTHSM2_CONF=" + s.Conf} }

// Util runs softhsm2-util on the store and gives what it printed.
func (s *Store) Util(t testing.TB, args ...string) string {
	t.Helper()
	return s.run(t, "softhsm2-util", args...)
}

// Tool runs pkcs11-tool (OpenSC) on the token, logged in as its user.
func (k *Token) Tool(t testing.TB, args ...string) string {
	t.Helper()
	all := append([]string{"--module", k.Library, "--slot", strconv.FormatUint(k.Slot, 10), "--login", "--pin", k.PIN}, args...)
	return k.run(t, "pkcs11-tool", all...)
}

func (s *Store) run(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), s.Env()...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// findLibrary looks where Debian, Ubuntu, Fedora and Arch put the library.
func findLibrary(t testing.TB) string {
	t.Helper()
	places := []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
		"/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so",
		"/usr/lib64/pkcs11/libsofthsm2.so", "/usr/lib/pkcs11/libsofthsm2.so"}
	for _, p := range places {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	t.Fatalf("libsofthsm2.so is in none of %v; install the package softhsm2", places)
	return ""
}
