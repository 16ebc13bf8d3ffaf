// Package logging is how both daemons write their log, to standard error: text
// where that is a terminal, JSON with the priorities that journald reads
// (sd-daemon(3)) where it is the journal, and JSON anywhere else.
package logging

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/coreos/go-systemd/v22/journal"
	"golang.org/x/term"
)

// New makes the log, from a level on that can be changed.
func New(from slog.Level) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(from)
	options := &slog.HandlerOptions{Level: level}
	switch {
	case term.IsTerminal(int(os.Stderr.Fd())):
		return slog.New(slog.NewTextHandler(os.Stderr, options)), level
	case toJournal():
		return slog.New(newJournalHandler(os.Stderr, options)), level
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, options)), level
}

// Failure is what a daemon says last, on its way to standard error: in the journal
// each of its lines is an error.
func Failure(text string) string {
	if !toJournal() {
		return text
	}
	return prefix(slog.LevelError) + strings.ReplaceAll(text, "\n", "\n"+prefix(slog.LevelError))
}

// toJournal reports whether standard error is the journal, and not redirected.
func toJournal() bool {
	is, err := journal.StderrIsJournalStream()
	return err == nil && is
}

// prefix is what journald takes for the priority of a line (syslog(3)).
func prefix(level slog.Level) string {
	priority := journal.PriDebug
	switch {
	case level >= slog.LevelError:
		priority = journal.PriErr
	case level >= slog.LevelWarn:
		priority = journal.PriWarning
	case level >= slog.LevelInfo:
		priority = journal.PriInfo
	}
	return fmt.Sprintf("<%d>", priority)
}

// journalHandler writes each record as a line of JSON behind its priority, with
// one call.
type journalHandler struct {
	slog.Handler // writes into line
	line         *line
}

type line struct {
	mu  sync.Mutex
	buf bytes.Buffer
	out io.Writer
}

func newJournalHandler(out io.Writer, options *slog.HandlerOptions) *journalHandler {
	l := &line{out: out}
	return &journalHandler{slog.NewJSONHandler(&l.buf, options), l}
}

// Handle implements [slog.Handler].
func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	h.line.mu.Lock()
	defer h.line.mu.Unlock()
	h.line.buf.Reset()
	h.line.buf.WriteString(prefix(r.Level))
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	_, err := h.line.out.Write(h.line.buf.Bytes())
	return err
}

// WithAttrs implements [slog.Handler].
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journalHandler{h.Handler.WithAttrs(attrs), h.line}
}

// WithGroup implements [slog.Handler].
func (h *journalHandler) WithGroup(name string) slog.Handler {
	return &journalHandler{h.Handler.WithGroup(name), h.line}
}
