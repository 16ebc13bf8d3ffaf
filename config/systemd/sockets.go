package systemd

import (
	"fmt"
	"os"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// Sockets are the Unix sockets that systemd has opened for the daemon and
// listens on, by path. Anything else that it was given is an error. It can be
// asked once; the variables that announce the sockets are gone after it.
func Sockets() (map[string]*os.File, error) {
	sockets := map[string]*os.File{}
	for _, file := range activation.Files(true) {
		path, err := listensAt(file)
		if err != nil {
			return nil, fmt.Errorf("the descriptor %q that systemd hands over: %w", file.Name(), err)
		}
		if sockets[path] != nil {
			return nil, fmt.Errorf("systemd hands over two sockets at %s", path)
		}
		sockets[path] = file
	}
	return sockets, nil
}

// listensAt gives the path of a stream socket that listens.
func listensAt(file *os.File) (string, error) {
	fd := int(file.Fd())
	address, err := unix.Getsockname(fd)
	if err != nil {
		return "", os.NewSyscallError("getsockname", err)
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return "", os.NewSyscallError("SO_TYPE", err)
	}
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return "", os.NewSyscallError("SO_ACCEPTCONN", err)
	}
	at, ok := address.(*unix.SockaddrUnix)
	if !ok || kind != unix.SOCK_STREAM || listens == 0 || at.Name == "" || at.Name[0] != '/' {
		return "", fmt.Errorf("it is no Unix stream socket with a path that listens (ListenStream=/path, Accept=no)")
	}
	return at.Name, nil
}
