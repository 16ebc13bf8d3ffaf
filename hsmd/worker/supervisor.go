// Package worker runs the processes that load vendors' libraries: one for each
// library, started again when it dies. It knows processes and the wire protocol,
// and which tokens are away; it knows no key and no rule.
//
// [Supervisor] and [Process] are hsmd's side, [Run] is the worker's own. What is
// done about a token that is away is in climb.go and breaker.go.
package worker

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"maps"
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

	Withheld []string // variables of hsmd's environment that it does not get
	Paths    []string // confine it to these, without symbolic links in them; nil: do not
	User     string   // a user of its own, by name or number; "": hsmd's
}

// Supervisor has a process for each library of one configuration. Libraries
// that are the same file with the same arguments, environment, paths and user
// share one.
type Supervisor struct {
	log *slog.Logger

	mu        sync.Mutex
	processes map[string]*Process
	before    map[string]*Process // of the configuration before, to be taken over
}

// NewSupervisor makes a Supervisor without processes.
func NewSupervisor(log *slog.Logger) *Supervisor {
	return &Supervisor{log: log, processes: map[string]*Process{}}
}

// Next makes the Supervisor of another configuration, which takes over from s
// the processes of libraries that it has too. Whichever of the two is not
// needed in the end is closed with CloseBut.
func (s *Supervisor) Next() *Supervisor {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := NewSupervisor(s.log)
	next.before = map[string]*Process{}
	for _, p := range s.processes {
		// By what it was started for: one that was kept is not alike, and may be
		// renewed now.
		next.before[p.id] = p
	}
	return next
}

// Library gives the service of a library. Its process is started when it is
// first asked something.
func (s *Supervisor) Library(l Library) *Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := identity(l)
	p := s.processes[id]
	if p == nil {
		if p = s.before[id]; p == nil {
			p = s.newProcess(id, l)
		}
		s.processes[id] = p
	}
	return p
}

// Renew gives a library a process of its own that is new, also where one like
// it could be taken over.
func (s *Supervisor) Renew(l Library) *Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := identity(l)
	p := s.newProcess(id, l)
	s.put(id, p)
	return p
}

// Keep gives a library a process that runs for another configuration, also
// where it is not alike in everything.
func (s *Supervisor) Keep(l Library, p *Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(identity(l), p)
}

// put has the process for a library; the one that it had is ended if it is
// nobody else's. s.mu is held.
func (s *Supervisor) put(id string, p *Process) {
	old := s.processes[id]
	s.processes[id] = p
	if old != nil && !has(s.before, old) {
		old.Close()
	}
}

func (s *Supervisor) newProcess(id string, l Library) *Process {
	return newProcess(id, l, s.log.With("library", l.Name))
}

// Close ends all processes. Requests under way fail.
func (s *Supervisor) Close() { s.CloseBut(nil) }

// CloseBut ends the processes that other does not have too.
func (s *Supervisor) CloseBut(other *Supervisor) {
	s.mu.Lock()
	processes := slices.Collect(maps.Values(s.processes))
	s.mu.Unlock()
	var ending sync.WaitGroup
	for _, p := range processes {
		if !other.runs(p) {
			ending.Go(p.Close)
		}
	}
	ending.Wait()
}

func (s *Supervisor) runs(p *Process) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return has(s.processes, p)
}

func has(processes map[string]*Process, p *Process) bool {
	for _, other := range processes {
		if other == p {
			return true
		}
	}
	return false
}

// identity is the same for libraries that may share a process. A file is known
// by device and inode, so that a link to it is not loaded a second time, and by
// what is in it: one that was written over is another.
func identity(l Library) string {
	file := l.Path
	if info, err := os.Stat(l.Path); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			file = fmt.Sprintf("%d:%d %s", stat.Dev, stat.Ino, digest(l.Path))
		}
	}
	var env []string
	for name, value := range l.Env {
		env = append(env, fmt.Sprintf("%q=%q", name, value))
	}
	slices.Sort(env)
	return fmt.Sprintf("%s %q %s %q %t %q %q", file, l.InitArgs, strings.Join(env, " "), l.Withheld, l.Paths != nil, l.Paths, l.User)
}

// digest is empty for a file that cannot be read.
func digest(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}
