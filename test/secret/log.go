package secret

import (
	"bytes"
	"sync"
	"testing"
)

// Log keeps what many write to a log, for whoever looks. The zero Log is empty.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// NewLog makes a Log that is searched for secrets when the test has ended what it
// began afterwards. whose is for people.
func NewLog(t testing.TB, whose string) *Log {
	l := &Log{}
	t.Cleanup(func() {
		t.Helper()
		Look(t, "the log of "+whose, []byte(l.String()))
	})
	return l
}

// Write implements [io.Writer].
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is what was written until now.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
