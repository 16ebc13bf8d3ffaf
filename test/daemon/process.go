// Package daemon starts the real hsmd and pkid for tests: as processes, in a
// folder of their own, with files that say what the test wants, and ends them.
//
// It knows the programs' command lines, files and sockets, and nothing of what
// is inside them. Start at [Start].
package daemon

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/secret"
)

// patience bounds every wait here: a start, an end.
const patience = 30 * time.Second

// process is a program that can be ended and started again.
type process struct {
	t     testing.TB
	name  string
	args  []string
	via   []string // a command in front, that leads elsewhere
	env   []string
	files []*os.File   // handed over, from descriptor 3 on
	log   secret.Log   // what it writes, over all its lives
	ready func() error // says why not yet

	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
}

// Launch starts the process without waiting until it answers.
func (p *process) Launch() {
	p.t.Helper()
	argv := slices.Concat(p.via, []string{filepath.Join(Bin(p.t), p.name)}, p.args)
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.ExtraFiles = p.files
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	// The kernel ends the daemon if the test process is killed.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatalf("start %s: %v", p.name, err)
	}
	p.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		cmd.Wait()
		close(done)
	}(p.cmd, p.done)
}

// Start starts the process and waits until it answers.
func (p *process) Start() {
	p.t.Helper()
	p.Launch()
	p.WaitReady()
}

// Via puts a command in front of the next starts, which has to execute the
// program in its own place.
func (p *process) Via(command ...string) { p.via = command }

// WaitReady waits until the process answers.
func (p *process) WaitReady() {
	p.t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = p.ready(); err == nil {
			return
		}
		select {
		case <-p.done:
			p.t.Fatalf("%s ended before it answered: %v\n%s", p.name, p.cmd.ProcessState, p.Log())
		default:
		}
	}
	p.t.Fatalf("%s does not answer: %v\n%s", p.name, err, p.Log())
}

// Stop ends the process as an administrator does, with SIGTERM, and fails the
// test if it does not end with code 0.
func (p *process) Stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	p.WaitEnd()
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("%s ended with code %d (%v)\n%s", p.name, code, p.cmd.ProcessState, p.Log())
	}
}

// Kill9 ends the process as a crash does.
func (p *process) Kill9() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	p.WaitEnd()
}

// Restart is Stop and Start.
func (p *process) Restart() {
	p.t.Helper()
	p.Stop()
	p.Start()
}

// WaitEnd waits until the process has ended, and gives its exit code, -1 for a
// signal.
func (p *process) WaitEnd() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.signal(syscall.SIGQUIT) // prints the goroutines
		time.Sleep(time.Second)
		p.signal(syscall.SIGKILL)
		p.t.Fatalf("%s does not end\n%s", p.name, p.Log())
	}
	return p.cmd.ProcessState.ExitCode()
}

// PID is the process's number.
func (p *process) PID() int { return p.cmd.Process.Pid }

// Log is what the process has written, over all its lives.
func (p *process) Log() string { return p.log.String() }

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("%s: %v", p.name, err)
	}
}

// cleanup ends what a test has left running, looks for secrets in what it wrote,
// and shows the log where the test has failed. dir is its folder, config its file,
// in which they may be.
func (p *process) cleanup(dir, config string) {
	if p.cmd != nil {
		p.signal(syscall.SIGTERM)
		p.WaitEnd()
	}
	p.lookForSecrets(dir, config)
	if p.t.Failed() {
		p.t.Logf("log of %s:\n%s", p.name, p.Log())
	}
}

func (p *process) lookForSecrets(dir, config string) {
	if _, bench := p.t.(*testing.B); bench {
		return // what is measured is searched in the tests
	}
	secret.Look(p.t, p.name+"'s log", []byte(p.Log()))
	secret.LookIn(p.t, dir, func(path string) bool { return path == config })
	secret.LookInStores(p.t, dir)
}

// Reload sends SIGHUP, waits until the daemon has said what came of it, and
// gives what it logged meanwhile, and whether the configuration is in force.
func (p *process) Reload() (log string, taken bool) {
	p.t.Helper()
	before := len(p.Log())
	p.signal(syscall.SIGHUP)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		log = p.Log()[before:]
		taken = strings.Contains(log, "the configuration is reloaded")
		if taken || strings.Contains(log, "the configuration is not reloaded") {
			return log, taken
		}
	}
	p.t.Errorf("%s does not say what came of SIGHUP\n%s", p.name, p.Log())
	return log, false
}
