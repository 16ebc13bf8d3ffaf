package auditlog_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/auditlog"
)

func open(t *testing.T, path string) *auditlog.Log {
	t.Helper()
	l, err := auditlog.Open(auditlog.Config{Path: path, Key: []byte("key"), Now: time.Now})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// paths gives the path of each line's request; every line has to be whole.
func paths(t *testing.T, file string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	for line := range bytes.Lines(text) {
		var e auditlog.Entry
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, e.Request.Path)
	}
	return all
}

func entry(path string) *auditlog.Entry {
	return &auditlog.Entry{Type: "request", Request: &auditlog.Request{Path: path}}
}

func TestParallelLinesThroughRotations(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	l := open(t, file)
	var writers sync.WaitGroup
	for n := range 8 {
		writers.Go(func() {
			for i := range 50 {
				line, err := l.Append(entry(fmt.Sprint(n, ".", i)))
				if err == nil {
					err = line.Wait(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 5 {
		must(t, os.Rename(file, fmt.Sprint(file, ".", i)))
		must(t, l.Reopen())
	}
	writers.Wait()
	must(t, l.Close())
	if _, err := l.Append(entry("late")); err != auditlog.ErrClosed {
		t.Errorf("after Close: %v", err)
	}
	files, err := filepath.Glob(file + "*")
	must(t, err)
	seen := map[string]bool{}
	for _, f := range files {
		for _, path := range paths(t, f) {
			if seen[path] {
				t.Errorf("%s is there twice", path)
			}
			seen[path] = true
		}
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, info.Mode(), err)
		}
	}
	if len(seen) != 400 {
		t.Errorf("%d lines of 400", len(seen))
	}
}

func TestNothingLeavesItsLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	l := open(t, file)
	hostile := []string{"a\n{\"type\":\"request\"}", "b\r", "c\x00", "d\xff\xfe", "e\u2028", `f"}`}
	for _, text := range hostile {
		_, err := l.Append(&auditlog.Entry{Error: text, Request: &auditlog.Request{Path: text, Data: map[string]any{text: text}}})
		must(t, err)
	}
	if all := paths(t, file); len(all) != len(hostile) {
		t.Errorf("%d lines: %q", len(all), all)
	}
}

func TestALineThatACrashCutIsEnded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	must(t, os.WriteFile(file, []byte(`{"type":"requ`), 0o600))
	_, err := open(t, file).Append(entry("next"))
	must(t, err)
	text, err := os.ReadFile(file)
	must(t, err)
	if lines := strings.Split(string(text), "\n"); len(lines) != 3 || lines[0] != `{"type":"requ` || !strings.Contains(lines[1], `"next"`) {
		t.Errorf("%q", lines)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.WriteFile(at("shown"), nil, 0o600))
	must(t, os.Chmod(at("shown"), 0o644))
	must(t, os.WriteFile(at("shared"), nil, 0o600))
	must(t, os.Chmod(at("shared"), 0o660))
	must(t, os.WriteFile(at("target"), nil, 0o600))
	must(t, os.Symlink(at("target"), at("link")))
	must(t, syscall.Mkfifo(at("pipe"), 0o600))
	for name, says := range map[string]string{
		"shown": "mode 0644", "shared": "mode 0660", "link": "too many levels of symbolic links", "pipe": "no regular file",
		"none/audit.log": "no such file or directory", ".": "is a directory",
	} {
		if l, err := auditlog.Open(auditlog.Config{Path: at(name), Now: time.Now}); err == nil {
			l.Close()
			t.Errorf("%s was opened", name)
		} else if !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, os.WriteFile(at("group"), nil, 0o600))
	must(t, os.Chmod(at("group"), 0o640)) // for a program that ships logs
	open(t, at("group"))
}

func TestRotationThatFailsKeepsTheOldFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	l := open(t, file)
	must(t, os.Rename(file, file+".1"))
	must(t, os.Mkdir(file, 0o700))
	if err := l.Reopen(); err == nil {
		t.Fatal("a folder was opened")
	}
	line, err := l.Append(entry("kept"))
	must(t, err)
	must(t, line.Wait(t.Context()))
	if all := paths(t, file+".1"); len(all) != 1 || all[0] != "kept" {
		t.Errorf("%q", all)
	}
}
