package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hsmpki/hsmpki/hsmd/confinement"
	"github.com/hsmpki/hsmpki/wire"
	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// descriptor is the worker's end of the socket pair.
const descriptor = 3

// Service is what a worker offers; Close ends the use of the library, and is
// told whether no call is under way.
type Service interface {
	wire.Service
	Close(idle bool)
}

// Run is a worker's life: it gives up what it does not need, serves hsmd on the
// socket that it was started with, and ends when hsmd hangs up. newService is
// called after that, so that nothing of the vendor's has run before.
func Run(newService func() Service) error {
	if err := confine(); err != nil {
		return err
	}
	// What ends hsmd is often sent to all of its processes; the worker ends when
	// hsmd, which may have requests under way, hangs up.
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	file := os.NewFile(descriptor, "hsmd")
	if file == nil {
		return errors.New("hsmd worker is started by hsmd, not by hand")
	}
	conn, err := unixsock.FileConn(file)
	file.Close()
	if err != nil {
		return fmt.Errorf("hsmd worker is started by hsmd, not by hand: %w", err)
	}
	counted := &counting{Service: newService()}
	// A call that hangs in the library must not keep the process when hsmd is
	// gone: nothing is waited for, and then C_Finalize, which crashes some
	// libraries under a call, is left out.
	watched := &hangup{Conn: conn, gone: func() {
		counted.Close(counted.underWay.Load() == 0)
		os.Exit(0)
	}}
	return wire.Serve(context.Background(), watched, counted, wire.ServeConfig{Software: "hsmd worker"})
}

// confine shuts the worker in. What it gives up is a thread's and goes to all
// threads only by exec; so the program executes itself once more. Core files and
// the memory of a process that has PINs are nobody's business.
func confine() error {
	if orders := os.Getenv(ordersName); orders != "" {
		return enter(orders)
	}
	unix.CloseOnExec(descriptor) // what the library starts does not get it
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("PR_SET_DUMPABLE: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("RLIMIT_CORE: %w", err)
	}
	return nil
}

// enter does as hsmd has ordered and executes the program, without orders.
func enter(text string) error {
	var o orders
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return fmt.Errorf("%s: %w", ordersName, err)
	}
	if err := os.Unsetenv(ordersName); err != nil {
		return err
	}
	environ := append(os.Environ(), o.Loader...)
	runtime.LockOSThread()
	if err := confinement.Enter(o.Rules, environ); err != nil {
		return err
	}
	return fmt.Errorf("exec: %w", syscall.Exec("/proc/self/exe", os.Args, environ))
}

// hangup notices the end of the connection.
type hangup struct {
	net.Conn
	gone func()
}

func (h *hangup) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		h.gone()
	}
	return n, err
}

// counting counts the calls that are in the library.
type counting struct {
	Service
	underWay atomic.Int64
}

func (c *counting) Sign(ctx context.Context, req *wire.SignRequest) (*wire.SignResponse, error) {
	c.underWay.Add(1)
	defer c.underWay.Add(-1)
	return c.Service.Sign(ctx, req)
}

func (c *counting) Generate(ctx context.Context, req *wire.GenerateRequest) (*wire.GenerateResponse, error) {
	c.underWay.Add(1)
	defer c.underWay.Add(-1)
	return c.Service.Generate(ctx, req)
}

func (c *counting) Describe(ctx context.Context, req *wire.DescribeRequest) (*wire.DescribeResponse, error) {
	c.underWay.Add(1)
	defer c.underWay.Add(-1)
	return c.Service.Describe(ctx, req)
}

func (c *counting) Status(ctx context.Context, req *wire.StatusRequest) (*wire.StatusResponse, error) {
	c.underWay.Add(1)
	defer c.underWay.Add(-1)
	return c.Service.Status(ctx, req)
}
