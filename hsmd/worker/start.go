package worker

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hsmpki/hsmpki/hsmd/confinement"
	"github.com/hsmpki/hsmpki/wire"
	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// running is a live worker.
type running struct {
	client *wire.Client
	cmd    *exec.Cmd
	since  time.Time
	users  sync.WaitGroup // requests that are put to it; added to only as long as it is the one that runs
	ended  sync.Once
	exit   string
}

func (r *running) pid() int { return r.cmd.Process.Pid }

// start executes hsmd's own program as a worker, with one end of a socket pair
// as descriptor 3, and speaks the handshake. Everything else that hsmd has open
// closes on exec.
func start(ctx context.Context, l Library, log *slog.Logger) (*running, error) {
	near, far, err := socketPair()
	if err != nil {
		return nil, wire.Errorf(wire.Unavailable, "no socket for the worker of library %s: %v", l.Name, err)
	}
	cmd, output, err := launch(l, far)
	far.Close() // or the end of a worker that ends at once would not be seen
	if err != nil {
		near.Close()
		return nil, wire.Errorf(wire.Unavailable, "the worker of library %s cannot be started: %v", l.Name, err)
	}
	said := &relay{log: log, done: make(chan struct{})}
	go said.run(output)
	timeout := 10 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	client, err := wire.NewClient(near, wire.ClientConfig{Software: "hsmd", HandshakeTimeout: timeout})
	if err != nil {
		_ = cmd.Process.Kill()
		last := said.end()
		_ = cmd.Wait()
		return nil, wire.Errorf(wire.Unavailable, "the worker of library %s does not answer: %v%s", l.Name, err, last)
	}
	log.Debug("a worker runs", "pid", cmd.Process.Pid)
	return &running{client: client, cmd: cmd, since: time.Now()}, nil
}

// launch executes the worker. far is its end of the socket pair.
func launch(l Library, far *os.File) (*exec.Cmd, io.Reader, error) {
	if l.Paths != nil {
		if err := confinement.Kernel(); err != nil {
			return nil, nil, fmt.Errorf("paths: %w", err)
		}
	}
	env, err := environment(os.Environ(), l)
	if err != nil {
		return nil, nil, err
	}
	// A group of its own: what a terminal sends to hsmd is for hsmd alone.
	attr := &syscall.SysProcAttr{Setpgid: true}
	if l.User != "" {
		if attr.Credential, err = Account(l.User); err != nil {
			return nil, nil, fmt.Errorf("user: %w", err)
		}
	}
	cmd := exec.Command("/proc/self/exe", "worker")
	cmd.Args[0] = "hsmd"
	cmd.Env = env
	cmd.ExtraFiles = []*os.File{far}
	cmd.SysProcAttr = attr
	output, err := cmd.StderrPipe()
	if err != nil {
		return nil, nil, err
	}
	return cmd, output, cmd.Start()
}

// end hangs up, which ends a worker that is sound, kills one that is not gone
// soon, and says how it ended.
func (r *running) end() string {
	r.ended.Do(func() {
		r.client.Close()
		kill := time.AfterFunc(2*time.Second, func() { _ = r.cmd.Process.Kill() })
		defer kill.Stop()
		_ = r.cmd.Wait()
		r.exit = r.cmd.ProcessState.String()
	})
	return r.exit
}

// socketPair makes a connection within the process. Neither end is inherited
// by accident.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	nearFile, far := os.NewFile(uintptr(fds[0]), "worker"), os.NewFile(uintptr(fds[1]), "hsmd")
	defer nearFile.Close()
	near, err := unixsock.FileConn(nearFile)
	if err != nil {
		far.Close()
		return nil, nil, err
	}
	return near, far, nil
}
