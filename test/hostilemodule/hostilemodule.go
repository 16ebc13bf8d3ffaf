// Package hostilemodule is a PKCS#11 module for tests that tries to get at
// hsmd from inside a worker, and reports how far it came. It is C, in module/,
// and built once for a test program.
//
// It knows nothing of our daemons but what a test has it try. Start with [New].
package hostilemodule

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

//go:embed module/hostile.c
var source []byte

// Module is one copy of the module. Its folder has to be among the paths of a
// worker that is confined, for its orders and its report.
type Module struct {
	Dir     string
	Library string // path of the shared object; outside of Dir
	Env     map[string]string

	orders, report string
}

// New makes a module that tries these things in turn: each a word of
// module/hostile.c and what it is tried on.
func New(t testing.TB, attempts ...string) *Module {
	t.Helper()
	library := filepath.Join(t.TempDir(), "hostile.so")
	dir := t.TempDir()
	m := &Module{Dir: dir, Library: library, orders: filepath.Join(dir, "orders"), report: filepath.Join(dir, "report")}
	m.Env = map[string]string{"HOSTILE_ORDERS": m.orders, "HOSTILE_REPORT": m.report}
	built, err := build()
	if err == nil {
		err = os.WriteFile(library, built, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	m.Try(t, attempts...)
	return m
}

// Try has the next process that loads the module try other things, and forgets
// what was reported.
func (m *Module) Try(t testing.TB, attempts ...string) {
	t.Helper()
	err := os.WriteFile(m.orders, []byte(strings.Join(attempts, "\n")+"\n"), 0o644)
	if err == nil {
		err = os.WriteFile(m.report, nil, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Result is what became of an attempt.
type Result struct {
	Attempt string
	When    string // "loading" or "initializing"
	Said    string // "done", or the error
}

// Results are those that were reported so far.
func (m *Module) Results(t testing.TB) []Result {
	t.Helper()
	text, err := os.ReadFile(m.report)
	if err != nil {
		t.Fatal(err)
	}
	var all []Result
	for line := range strings.Lines(string(text)) {
		attempt, said, _ := strings.Cut(strings.TrimSpace(line), ": ")
		when, attempt, _ := strings.Cut(attempt, " ")
		all = append(all, Result{strings.TrimSuffix(attempt, " -"), when, said})
	}
	return all
}

var build = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "hostilemodule")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	in, out := filepath.Join(dir, "hostile.c"), filepath.Join(dir, "hostile.so")
	if err := os.WriteFile(in, source, 0o600); err != nil {
		return nil, err
	}
	args := []string{"-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden", "-o", out, in}
	if said, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cc: %w\n%s", err, said)
	}
	return os.ReadFile(out)
})
