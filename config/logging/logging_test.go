package logging

import (
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"fmt"
)

// TestJournal has standard error be the journal, as systemd says it with
// JOURNAL_STREAM, and reads what arrives there.
func TestJournal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(w.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	defer func() { os.Stderr = stderr }()
	saved, err := unix.Dup(2)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(saved)
	if err := unix.Dup3(int(w.Fd()), 2, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Dup3(saved, 2, 0)
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", st.Dev, st.Ino))

	log, level := New(slog.LevelInfo)
	log.Debug("not yet")
	level.Set(slog.LevelDebug)
	log.Debug("d")
	log.Info("i\n<0>not a line of its own", "key", "v")
	log.With("with", 1).WithGroup("g").Warn("w", "in", 2)
	log.Error("e")
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { log.Info("at once") })
	}
	all.Wait()
	last := Failure("one\ntwo")

	unix.Dup3(saved, 2, 0)
	w.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	want := []string{"<7>", "<6>", "<4>", "<3>"}
	for range 20 {
		want = append(want, "<6>")
	}
	if len(lines) != len(want) {
		t.Fatalf("%d lines: %s", len(lines), text)
	}
	for i, line := range lines {
		body, found := strings.CutPrefix(line, want[i])
		var record map[string]any
		if err := json.Unmarshal([]byte(body), &record); err != nil || !found {
			t.Errorf("line %q is not JSON behind %s: %v", line, want[i], err)
		}
		if i == 2 && (record["with"] != 1.0 || record["g"].(map[string]any)["in"] != 2.0) {
			t.Errorf("attributes are lost: %s", line)
		}
	}
	if last != "<3>one\n<3>two" {
		t.Errorf("%q", last)
	}

	// Somebody who inherits the environment is not the journal therefore.
	t.Setenv("JOURNAL_STREAM", "1:1")
	if Failure("x") != "x" {
		t.Error("a stream that is another is taken for the journal")
	}
}
