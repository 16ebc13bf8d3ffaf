package managedkey_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

const secret = "0123456789abcdef0123456789abcdef"

func open(t *testing.T, dir, key string) *managedkey.Store {
	t.Helper()
	s, err := managedkey.Open(managedkey.Config{Dir: dir, Key: key, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func refuse(t *testing.T, dir, key, reason string) {
	t.Helper()
	before := snapshot(t, dir)
	s, err := managedkey.Open(managedkey.Config{Dir: dir, Key: key, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		s.Close()
		t.Fatalf("opened, want %q", reason)
	}
	if !strings.Contains(err.Error(), reason) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %q, want the directory and %q", err, reason)
	}
	if after := snapshot(t, dir); after != before {
		t.Errorf("a refused directory was changed:\n%s\nwas:\n%s", after, before)
	}
}

// snapshot has names and contents of all files but the lock.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if e.Name() != "lock" {
			all.WriteString(e.Name() + " " + string(text) + "\n")
		}
	}
	return all.String()
}

func record(name string) managedkey.Record {
	return managedkey.Record{Source: wire.SourceWire, Definition: wire.Definition{Type: "pkcs11", Name: name, UUID: "u-" + name,
		PKCS11: &wire.PKCS11Definition{Library: "softhsm", TokenLabel: "t", PIN: "pin-of-" + name, KeyLabel: name, Mechanism: 1}}}
}

func TestStoreKeepsAcrossRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	for _, key := range []string{secret, secret} {
		s := open(t, dir, key)
		for _, name := range []string{"b", "a", "c"} {
			if err := s.Put(record(name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Delete("c"); err != nil {
			t.Fatal(err)
		}
		s.Close()
		s = open(t, dir, key)
		got := s.Records()
		if len(got) != 2 || got[0].Definition.Name != "a" || got[1].Definition.PKCS11.PIN != "pin-of-b" || got[1].Definition.UUID != "u-b" {
			t.Errorf("read back %+v", got)
		}
		s.Close()
	}
	if all := snapshot(t, dir); strings.Contains(all, "pin-of") {
		t.Error("a PIN stands in a file")
	}
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, "")
	if err := s.Put(record("a")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Fatalf("%v, %v: want format, keys, lock, state-key", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestDefaultKey(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	s, err := managedkey.Open(managedkey.Config{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "state_key is not set") {
		t.Errorf("no warning: %q", log.String())
	}
	s.Close()
	if err := os.Remove(filepath.Join(dir, "state-key")); err != nil {
		t.Fatal(err)
	}
	refuse(t, dir, "", "holds keys, but state_key is not set")
}

func TestRefusesOtherKeyNewerFormatDamageAndShortKey(t *testing.T) {
	dir := t.TempDir()
	refuse(t, filepath.Join(t.TempDir()), "short", "state_key is shorter than 16 octets")
	s := open(t, dir, secret)
	if err := s.Put(record("a")); err != nil {
		t.Fatal(err)
	}
	refuse(t, dir, secret, managedkey.ErrInUse.Error())
	s.Close()
	refuse(t, dir, strings.ToUpper(secret), "was written with another state_key")
	refuse(t, dir, "", "holds keys, but state_key is not set")

	keys := filepath.Join(dir, "keys")
	whole, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range [][]byte{nil, whole[:15], whole[:len(whole)-1], append(bytes.Clone(whole[:40]), whole[41:]...)} {
		if err := os.WriteFile(keys, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		refuse(t, dir, secret, "damaged")
	}
	if err := os.WriteFile(keys, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	for text, reason := range map[string]string{"hsmd state 2\n": "was written by a newer hsmd: its format is 2", "?": "is not hsmd's"} {
		if err := os.WriteFile(filepath.Join(dir, "format"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		refuse(t, dir, secret, reason)
	}
}

// TestCrash leaves what a crash at each step of a writing leaves: a new file
// not begun, half-written, whole but not renamed.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, secret)
	if err := s.Put(record("a")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	whole, err := os.ReadFile(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	for size := range len(whole) + 1 {
		if err := os.WriteFile(filepath.Join(dir, "keys.new"), whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir, secret)
		if got := s.Records(); len(got) != 1 || got[0].Definition.Name != "a" {
			t.Fatalf("with %d octets of a new file: %+v", size, got)
		}
		if _, err := os.Stat(filepath.Join(dir, "keys.new")); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("the half-written file stays: %v", err)
		}
		s.Close()
	}
}

func TestFailedWriteChangesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, secret)
	if err := s.Put(record("a")); err != nil {
		t.Fatal(err)
	}
	// A directory in the place of the new file fails the write, as a full disk does.
	if err := os.MkdirAll(filepath.Join(dir, "keys.new", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(record("b")); err == nil {
		t.Fatal("written")
	}
	if err := s.Delete("a"); err == nil {
		t.Fatal("deleted")
	}
	if got := s.Records(); len(got) != 1 || got[0].Definition.Name != "a" {
		t.Errorf("after failed writes: %+v", got)
	}
	if err := os.RemoveAll(filepath.Join(dir, "keys.new")); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(record("b")); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, secret)
	refused := func(n int) wire.Refusal {
		return wire.Refusal{MAC: []byte{byte(n), byte(n >> 8)}, TokenSerial: "s", At: int64(n), FromWire: true}
	}
	for n := range 1100 {
		if n == 0 || n >= 1090 {
			if err := s.AddRefusals("/lib/a.so", []wire.Refusal{refused(n), refused(n)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var many []wire.Refusal
	for n := range 1100 {
		many = append(many, refused(2000+n))
	}
	if err := s.AddRefusals("/lib/b.so", many); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, dir)
	if err := s.AddRefusals("/lib/a.so", []wire.Refusal{refused(0)}); err != nil || snapshot(t, dir) != before {
		t.Errorf("a refusal that is known was written again: %v", err)
	}
	keyA, keyB := s.RefusalKey("/lib/a.so"), s.RefusalKey("/lib/b.so")
	s.Close()
	s = open(t, dir, secret)
	if a, b := s.Refusals("/lib/a.so"), s.Refusals("/lib/b.so"); len(a) != 11 || len(b) != 1000 || b[999].At != 3099 || !a[0].FromWire {
		t.Errorf("read back %d and %d", len(a), len(b))
	}
	if len(keyA) != 32 || bytes.Equal(keyA, keyB) || !bytes.Equal(keyA, s.RefusalKey("/lib/a.so")) {
		t.Errorf("keys %x, %x, after restart %x", keyA, keyB, s.RefusalKey("/lib/a.so"))
	}
}
