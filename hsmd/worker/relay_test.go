package worker_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/worker"
)

// TestRelayLongLine: of a line that is too long the beginning is passed on, and
// what comes after it whole.
func TestRelayLongLine(t *testing.T) {
	var log bytes.Buffer
	worker.Relay(slog.New(slog.NewTextHandler(&log, nil)), strings.NewReader("a long line "+strings.Repeat("x", 1<<20)+"\nthe next\nthe last"))
	text := log.String()
	for _, line := range []string{"a long line xxx", "the next", "the last"} {
		if !strings.Contains(text, line) {
			t.Errorf("%q is not in the log", line)
		}
	}
	if len(text) > 4<<10 || strings.Count(text, "\n") != 3 {
		t.Errorf("%d octets of log", len(text))
	}
}
