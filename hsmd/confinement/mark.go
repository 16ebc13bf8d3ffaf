package confinement

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The mark of a worker is the hard limit 0 of RLIMIT_LOCKS, which the kernel
// has not looked at since 2.4.25. A limit is inherited by whatever a worker
// starts, through fork and exec and when its parents are gone; it cannot be
// raised without CAP_SYS_RESOURCE; and it can be read from outside.
func mark() error {
	if err := unix.Setrlimit(unix.RLIMIT_LOCKS, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("RLIMIT_LOCKS: %w", err)
	}
	return nil
}

// IsWorker reports whether the process that made a connection is a worker, or
// was started by one. pid is its number as the kernel gave it with the
// connection. An error means that it cannot be known.
func IsWorker(conn syscall.Conn, pid int32) (bool, error) {
	if pid == 0 {
		return false, nil // in a PID namespace that is not below ours, where workers are
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return false, err
	}
	var marked bool
	var failure error
	err = raw.Control(func(fd uintptr) {
		if marked, failure = isMarked(pid); failure == nil {
			// A number may be used anew: what was read is the peer's only if the
			// peer is still there.
			failure = alive(int(fd))
		}
	})
	return marked, errors.Join(err, failure)
}

func isMarked(pid int32) (bool, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(text)) {
		if limits, ok := strings.CutPrefix(line, "Max file locks"); ok {
			fields := strings.Fields(limits) // soft, hard, unit
			return len(fields) > 1 && fields[1] == "0", nil
		}
	}
	return false, fmt.Errorf("/proc/%d/limits has no file locks", pid)
}

// alive is an error if the process that made a connection has ended. Kernels
// before 6.5 cannot tell, and nil is what is left.
func alive(fd int) error {
	pidfd, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if errors.Is(err, unix.ENOPROTOOPT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("SO_PEERPIDFD: %w", err)
	}
	defer unix.Close(pidfd)
	poll := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	if n, err := unix.Poll(poll, 0); err != nil || n != 0 {
		return errors.Join(errors.New("it has ended"), err)
	}
	return nil
}
