// Package worker runs the processes that load vendors' libraries: one for each
// library, started again when it dies. It knows processes and the wire protocol;
// it knows no key and no rule.
//
// [Supervisor] and [Process] are hsmd's side, [Run] is the worker's own.
package worker

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Library says what a worker loads and how.
type Library struct {
	Name     string // of the stanza, for the log
	Path     string // of the shared object
	InitArgs string // pReserved of C_Initialize
	Env      map[string]string
}

// Supervisor has a process for each library. Libraries that are the same file
// with the same arguments and environment share one.
type Supervisor struct {
	log *slog.Logger

	mu        sync.Mutex
	processes map[string]*Process
}

// NewSupervisor makes a Supervisor without processes.
func NewSupervisor(log *slog.Logger) *Supervisor {
	return &Supervisor{log: log, processes: map[string]*Process{}}
}

// Library gives the service of a library. Its process is started when it is
// first asked something.
func (s *Supervisor) Library(l Library) *Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := identity(l)
	p := s.processes[id]
	if p == nil {
		p = newProcess(l, s.log.With("library", l.Name))
		s.processes[id] = p
	}
	return p
}

// Close ends all processes. Requests under way fail.
func (s *Supervisor) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ending sync.WaitGroup
	for _, p := range s.processes {
		ending.Go(p.Close)
	}
	ending.Wait()
}

// identity is the same for libraries that may share a process. A file is known
// by device and inode, so that a link to it is not loaded a second time.
func identity(l Library) string {
	file := l.Path
	if info, err := os.Stat(l.Path); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			file = fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
		}
	}
	var env []string
	for name, value := range l.Env {
		env = append(env, fmt.Sprintf("%q=%q", name, value))
	}
	slices.Sort(env)
	return fmt.Sprintf("%s %q %s", file, l.InitArgs, strings.Join(env, " "))
}
