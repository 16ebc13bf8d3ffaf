package unixsock

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Conn is a connection and who is on its other end. As with every net.Conn, its
// methods may be called at the same time.
//
// It reads and writes as [net.UnixConn] does, and costs less: the calls of the
// kernel do not block, so the scheduler is not told of them. Told, it gets its
// monitor up whenever the process has been idle, which for a process that
// answers short requests is each time, and dearer than what was asked.
type Conn struct {
	*net.UnixConn
	Peer Peer

	in, out direction
}

// direction is one half of a connection: the call under way, and what its
// attempts leave.
type direction struct {
	mu      sync.Mutex
	raw     syscall.RawConn
	attempt func(fd uintptr) (done bool)
	buf     []byte // what is still to be filled or written
	n       int
	errno   syscall.Errno
}

// Dial connects to the socket at path and asks the kernel who serves it.
func Dial(path string, timeout time.Duration) (*Conn, error) {
	conn, err := net.DialTimeout("unix", path, timeout)
	if err != nil {
		return nil, err
	}
	return known(conn.(*net.UnixConn))
}

// FileConn is the connection of a socket that was made elsewhere. It has a copy
// of the descriptor; file stays the caller's.
func FileConn(file *os.File) (*Conn, error) {
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	c, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, os.NewSyscallError("socket", syscall.EPROTOTYPE)
	}
	return known(c)
}

// known takes over a connection, which it closes when it fails.
func known(conn *net.UnixConn) (*Conn, error) {
	c := &Conn{UnixConn: conn}
	raw, err := conn.SyscallConn()
	if err == nil {
		c.Peer, err = PeerOf(conn)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	c.in.raw, c.in.attempt = raw, c.in.read
	c.out.raw, c.out.attempt = raw, c.out.write
	return c, nil
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.in.do(p, c.in.raw.Read)
	if err == nil && n == 0 {
		return 0, io.EOF
	}
	return n, c.named("read", err)
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.do(p, c.out.raw.Write)
	return n, c.named("write", err)
}

// named gives an error of the kernel's the form that package net gives it.
func (c *Conn) named(op string, err error) error {
	if errno, ok := err.(syscall.Errno); ok {
		return &net.OpError{Op: op, Net: "unix", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, errno)}
	}
	return err
}

// do makes attempts, waiting between them until the socket is ready or the
// deadline has passed.
func (d *direction) do(p []byte, wait func(func(uintptr) bool) error) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.buf, d.n, d.errno = p, 0, 0
	err := wait(d.attempt)
	d.buf = nil
	if err == nil && d.errno != 0 {
		err = d.errno
	}
	return d.n, err
}

func (d *direction) read(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(d.buf))), uintptr(len(d.buf)))
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		case 0:
			d.n = int(n)
		default:
			d.errno = errno
		}
		return true
	}
}

func (d *direction) write(fd uintptr) bool {
	for len(d.buf) > 0 {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(d.buf))), uintptr(len(d.buf)))
		switch errno {
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		case 0:
			d.n += int(n)
			d.buf = d.buf[n:]
		default:
			d.errno = errno
			return true
		}
	}
	return true
}
