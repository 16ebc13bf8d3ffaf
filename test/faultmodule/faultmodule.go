// Package faultmodule is a PKCS#11 module for tests that hands every call on to
// a real one, mostly SoftHSM, and goes wrong as it is told, while it runs: codes
// returned, crashes, hangs, sessions gone, flags, mechanisms and attributes
// other than they are. It counts the calls of each function.
//
// It is C, in module/, and built once for a test program. It knows nothing of
// our daemons. Start with [New], then [Module.Set]; README.md has the recipes.
package faultmodule

import (
	"embed"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

//go:embed module
var source embed.FS

// Module is one copy of the module with what it is told. Processes that load it
// with the same Env share its faults and counts.
type Module struct {
	Library string // path of the shared object, to be loaded in the real one's place
	Env     map[string]string

	control, state string

	mu     sync.Mutex
	faults []Fault
	rules  int // given out so far: each counts for itself
}

// places are in module.h and control.c.
const maxRules = 256

// New makes a module in front of a real library, without faults, gone at the
// test's end.
func New(t testing.TB, library string) *Module {
	t.Helper()
	dir := t.TempDir()
	m := &Module{Library: filepath.Join(dir, "faultmodule.so"), control: filepath.Join(dir, "control"), state: filepath.Join(dir, "state")}
	m.Env = map[string]string{"FAULT_LIBRARY": library, "FAULT_CONTROL": m.control, "FAULT_STATE": m.state}
	built, err := build()
	if err == nil {
		err = os.WriteFile(m.Library, built, 0o755)
	}
	if err == nil {
		err = os.WriteFile(m.state, make([]byte, 8*(len(functions)+maxRules)), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	m.Set(t)
	return m
}

// build compiles the module. It is kept in memory, so that no file outlives a
// test.
var build = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "faultmodule")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, source); err != nil {
		return nil, err
	}
	// The headers are those of the module that hsmd calls libraries with.
	headers, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/miekg/pkcs11").Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m github.com/miekg/pkcs11: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "module", "*.c"))
	if err != nil {
		return nil, err
	}
	out := filepath.Join(dir, "faultmodule.so")
	args := []string{"-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden", "-I" + strings.TrimSpace(string(headers)), "-o", out}
	if said, err := exec.Command("cc", append(append(args, files...), "-ldl", "-lpthread")...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cc: %w\n%s", err, said)
	}
	return os.ReadFile(out)
})

// EnvList is Env as a process takes it.
func (m *Module) EnvList() []string {
	var out []string
	for name, value := range m.Env {
		out = append(out, name+"="+value)
	}
	return out
}

// Set has the module go wrong in these ways and no others, from the next call
// on. Counts of a rule begin anew.
func (m *Module) Set(t testing.TB, faults ...Fault) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = nil
	m.add(t, faults)
}

// Add has it go wrong in more ways. Those of before go on, with their counts.
func (m *Module) Add(t testing.TB, faults ...Fault) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(t, faults)
}

func (m *Module) add(t testing.TB, faults []Fault) {
	t.Helper()
	for _, f := range faults {
		if f.function != "" {
			if m.rules++; m.rules >= maxRules {
				t.Fatalf("fault module: more than %d rules in one test", maxRules)
			}
			f.id = m.rules
			if f.function != Any && !slices.Contains(functions, f.function) {
				t.Fatalf("fault module: PKCS#11 has no function %s", f.function)
			}
		}
		m.faults = append(m.faults, f)
	}
	var text strings.Builder
	for _, f := range m.faults {
		text.WriteString(f.line() + "\n")
	}
	// The module reads the file at each call: it is whole at every moment.
	next := m.control + ".next"
	if err := os.WriteFile(next, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, m.control); err != nil {
		t.Fatal(err)
	}
}

// Calls is how often a function was called so far, by all processes.
func (m *Module) Calls(t testing.TB, function string) int {
	t.Helper()
	i := slices.Index(functions, function)
	state, err := os.ReadFile(m.state)
	if err != nil || i < 0 {
		t.Fatalf("fault module: calls of %s: %v", function, err)
	}
	return int(binary.NativeEndian.Uint64(state[8*i:]))
}
