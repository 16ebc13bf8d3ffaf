package confinement_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hsmpki/hsmpki/hsmd/confinement"
)

// callerEnv makes the test program one that connects to the socket of that name
// and waits for the end of its input.
const callerEnv = "CONFINEMENT_TEST_SOCKET"

func TestMain(m *testing.M) {
	socket := os.Getenv(callerEnv)
	if socket == "" {
		os.Exit(m.Run())
	}
	if len(os.Args) > 1 { // as a worker's limits are
		if err := unix.Setrlimit(unix.RLIMIT_LOCKS, &unix.Rlimit{}); err != nil {
			panic(err)
		}
	}
	if _, err := net.Dial("unix", socket); err != nil {
		panic(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// TestIsWorker asks about connections of another process.
func TestIsWorker(t *testing.T) {
	for _, c := range []struct {
		name         string
		args         []string
		gone         bool
		marked, fail bool
	}{
		{name: "a stranger"},
		{name: "a worker", args: []string{"worker"}, marked: true},
		{name: "a stranger that has ended", gone: true, fail: true},
		{name: "a worker that has ended", args: []string{"worker"}, gone: true, fail: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "s")
			l, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			cmd := exec.Command("/proc/self/exe", c.args...)
			cmd.Env = append(os.Environ(), callerEnv+"="+socket)
			input, err := cmd.StdinPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			end := func() {
				input.Close()
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
			}
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if c.gone {
				end()
			} else {
				defer end()
			}
			marked, err := confinement.IsWorker(conn.(*net.UnixConn), int32(cmd.Process.Pid))
			if (err != nil) != c.fail || err == nil && marked != c.marked {
				t.Errorf("got %t, %v", marked, err)
			}
		})
	}
}

// TestNumberUsedAnew: what /proc says of a number is not taken for the peer's
// when the peer is gone, whoever has the number now.
func TestNumberUsedAnew(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), callerEnv+"="+socket)
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if marked, err := confinement.IsWorker(conn.(*net.UnixConn), int32(os.Getpid())); err == nil {
		t.Errorf("a peer that has ended is told to be one that is not a worker (%t)", marked)
	}
}
