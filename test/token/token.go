// Package token sets up tokens of other makers than SoftHSM for tests, each in
// its own folder and with daemons of its own, ended with the test.
//
// It knows nothing of our daemons. Each implementation is one file; package
// softhsm is the one that most tests use.
package token

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/secret"
)

// Token is one initialised token.
type Token struct {
	Library  string // path of the shared object
	InitArgs string // for C_Initialize
	Label    string
	PIN      string // empty: the token has none

	Paths   []string // what the library reads and writes: files, folders, sockets
	Env     []string // for the process that loads the library
	Through []string // a command that puts a process where it sees the token
}

// Command makes a command that sees the token.
func (k *Token) Command(name string, args ...string) *exec.Cmd {
	secret.Add("a token's PIN", k.PIN)
	all := append(append(append([]string(nil), k.Through...), name), args...)
	cmd := exec.Command(all[0], all[1:]...)
	cmd.Env = append(os.Environ(), k.Env...)
	return cmd
}

// Tool runs pkcs11-tool (OpenSC) on the token, logged in.
func (k *Token) Tool(t testing.TB, args ...string) string {
	t.Helper()
	all := append([]string{"--module", k.Library, "--token-label", k.Label, "--login", "--pin", k.PIN}, args...)
	return run(t, k.Command("pkcs11-tool", all...))
}

// library finds a shared object in the folder of whatever architecture this is.
func library(t testing.TB, name, pkg string) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/*-linux-gnu/" + name)
	if len(found) == 0 {
		t.Fatalf("there is no %s; install the package %s", name, pkg)
	}
	return found[0]
}

// run runs a command to its end and gives what it printed.
func run(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}

// background is a process that is ended with the test, or before.
type background struct {
	cmd  *exec.Cmd
	log  bytes.Buffer // to be read when it has ended
	done chan struct{}
}

// start starts a process and waits until it is ready.
func start(t testing.TB, cmd *exec.Cmd, ready func() bool) *background {
	t.Helper()
	b := &background{cmd: cmd, done: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = &b.log
	}
	cmd.Stderr = &b.log
	// The kernel ends it if the test process is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(b.done)
	}()
	t.Cleanup(b.end)
	await(t, fmt.Sprintf("%s to be ready", cmd.Args), func() bool {
		select {
		case <-b.done:
			t.Fatalf("%s ended: %v\n%s", cmd.Args, cmd.ProcessState, &b.log)
		default:
		}
		return ready()
	})
	return b
}

// end kills the process: none of these has anything to save.
func (b *background) end() {
	_ = b.cmd.Process.Kill()
	<-b.done
}

func await(t testing.TB, what string, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ready(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
