package worker

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hsmpki/hsmpki/wire"
	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// running is a live worker.
type running struct {
	client *wire.Client
	cmd    *exec.Cmd
	since  time.Time
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
	defer far.Close()
	cmd := exec.Command("/proc/self/exe", "worker")
	cmd.Args[0] = "hsmd"
	cmd.Env = environment(os.Environ(), l.Env)
	cmd.ExtraFiles = []*os.File{far}
	// A group of its own: what a terminal sends to hsmd is for hsmd alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	output, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		near.Close()
		return nil, wire.Errorf(wire.Unavailable, "the worker of library %s cannot be started: %v", l.Name, err)
	}
	go relay(output, log)
	timeout := 10 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	client, err := wire.NewClient(near, wire.ClientConfig{Software: "hsmd", HandshakeTimeout: timeout})
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, wire.Errorf(wire.Unavailable, "the worker of library %s does not answer: %v", l.Name, err)
	}
	log.Debug("a worker runs", "pid", cmd.Process.Pid)
	return &running{client: client, cmd: cmd, since: time.Now()}, nil
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

// environment is hsmd's, less what is meant for hsmd alone or changes what the
// dynamic loader loads, plus the stanza's.
func environment(own []string, stanza map[string]string) []string {
	var out []string
	for _, pair := range own {
		name, _, _ := strings.Cut(pair, "=")
		_, replaced := stanza[name]
		switch {
		case replaced, name == "NOTIFY_SOCKET", name == "CREDENTIALS_DIRECTORY",
			strings.HasPrefix(name, "LISTEN_"), strings.HasPrefix(name, "LD_"), strings.HasPrefix(name, "WATCHDOG_"):
			continue
		}
		out = append(out, pair)
	}
	for name, value := range stanza {
		out = append(out, name+"="+value)
	}
	return out
}

// Lines that a library prints are passed on up to a rate: some print one for
// every call that fails.
const (
	relayLines  = 20
	relayWindow = 10 * time.Second
	relayLine   = 500 // octets of a line
)

func relay(output io.Reader, log *slog.Logger) {
	lines := bufio.NewScanner(output)
	lines.Buffer(make([]byte, 0, 4096), 64<<10)
	var window time.Time
	count, dropped := 0, 0
	for lines.Scan() {
		if time.Since(window) > relayWindow {
			if dropped > 0 {
				log.Warn("the library printed more", "lines", dropped)
			}
			window, count, dropped = time.Now(), 0, 0
		}
		if count++; count > relayLines {
			dropped++
			continue
		}
		text := lines.Text()
		log.Info("the library printed", "line", fmt.Sprintf("%.*q", relayLine, text))
	}
	_, _ = io.Copy(io.Discard, output) // a line beyond the buffer must not block the worker
}
