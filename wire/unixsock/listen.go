// Package unixsock opens a Unix socket with mode and owner, and tells who is on
// the other end of a connection. It knows nothing of what is spoken on it.
// Start at [Listen].
package unixsock

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Config says where a socket is made and who may connect to it.
type Config struct {
	Path  string
	Mode  fs.FileMode // permission bits; 0: 0600
	User  string      // owner, by name or number; "": this process's
	Group string      // group, by name or number; "": this process's
}

// Listener accepts connections together with their peers.
type Listener struct {
	*net.UnixListener
	path string
	info fs.FileInfo // of the socket file that is ours
}

// Listen makes the socket. A file at the path that is no socket, a symbolic
// link, a folder in which strangers may put files, and a socket on which
// somebody answers are refused; a socket that nobody serves any more is
// replaced.
//
// The socket is made with mode 0600 and gets its mode and owner before it
// listens, so that nobody connects too early.
func Listen(cfg Config) (*Listener, error) {
	l, err := listen(cfg)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", cfg.Path, err)
	}
	return l, nil
}

// Inherit takes over a socket that another process, systemd, has made at
// cfg.Path and listens on. Who may connect is what cfg says, or it is refused:
// its mode has to be cfg's; its owner and group cfg's too, or, where cfg has
// none, this process's or root's. The socket file stays when it is closed. The
// listener has a copy of the descriptor; file stays the caller's.
func Inherit(cfg Config, file *os.File) (*Listener, error) {
	l, err := inherit(cfg, file)
	if err != nil {
		return nil, fmt.Errorf("socket %s, made elsewhere: %w", cfg.Path, err)
	}
	return l, nil
}

// MayConnect reports whether a user with these groups may connect to the socket,
// as far as its mode and owner say.
func (c Config) MayConnect(uid uint32, groups []uint32) (bool, error) {
	owner, group, err := c.owner()
	if err != nil {
		return false, err
	}
	if owner == -1 {
		owner = os.Getuid()
	}
	if group == -1 {
		group = os.Getgid()
	}
	switch mode := c.Mode.Perm(); { // the first that applies, as the kernel does it
	case uid == 0:
		return true, nil
	case uid == uint32(owner):
		return mode&0o200 != 0, nil
	case slices.Contains(groups, uint32(group)):
		return mode&0o020 != 0, nil
	default:
		return mode&0o002 != 0, nil
	}
}

// owner gives the numbers of user and group, -1 for this process's.
func (c Config) owner() (uid, gid int, err error) {
	uid, err = lookup(c.User, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
	if err != nil {
		return 0, 0, err
	}
	gid, err = lookup(c.Group, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
	return uid, gid, err
}

func listen(cfg Config) (*Listener, error) {
	uid, gid, err := cfg.owner()
	if err != nil {
		return nil, err
	}
	if err := checkFolder(filepath.Dir(cfg.Path)); err != nil {
		return nil, err
	}
	if err := removeStale(cfg.Path); err != nil {
		return nil, err
	}
	if cfg.Mode == 0 {
		cfg.Mode = 0o600
	}
	return bind(cfg.Path, cfg.Mode.Perm(), uid, gid)
}

// bind makes the socket file, gives it its owner and mode, and only then
// listens: between bind(2) and listen(2) a connection is refused.
func bind(path string, mode fs.FileMode, uid, gid int) (*Listener, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close() // net.FileListener has a copy
	// The mode of the file is 0777 less the umask; fchmod on the socket itself
	// before bind sets it (Linux), without touching the process's umask.
	if err := unix.Fchmod(fd, 0o600); err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return nil, err
	}
	cleanup := func(err error) (*Listener, error) {
		_ = os.Remove(path)
		return nil, err
	}
	if err := os.Chmod(path, mode); err != nil {
		return cleanup(err)
	}
	if uid != -1 || gid != -1 {
		if err := os.Lchown(path, uid, gid); err != nil {
			return cleanup(err)
		}
	}
	if err := unix.Listen(fd, 128); err != nil {
		return cleanup(err)
	}
	inner, err := net.FileListener(file)
	if err != nil {
		return cleanup(err)
	}
	unixListener := inner.(*net.UnixListener)
	unixListener.SetUnlinkOnClose(false) // Close does it, if the file is still ours
	info, err := os.Lstat(path)
	if err != nil {
		inner.Close()
		return cleanup(err)
	}
	return &Listener{UnixListener: unixListener, path: path, info: info}, nil
}

// Accept waits for the next connection and takes its peer from the kernel once.
// What it returns is a *[Conn].
func (l *Listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		c, err := known(conn)
		if err != nil {
			continue // gone already, or not what we made
		}
		return c, nil
	}
}

// Close stops listening and removes the socket file, unless somebody has put
// another in its place.
func (l *Listener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.info) {
		_ = os.Remove(l.path)
	}
	return l.UnixListener.Close()
}

func checkFolder(folder string) error {
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("everybody may put files into %s; take that right away (chmod o-w)", folder)
	}
	return nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("the path is taken by something that is no socket (%s)", info.Mode().Type())
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return errors.New("another process serves it already")
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("a socket is there, and whether it is served cannot be told: %w", err)
	}
	return os.Remove(path)
}

// lookup gives the number for a name, -1 (leave as it is) for "".
func lookup(name string, find func(string) (string, error)) (int, error) {
	if name == "" {
		return -1, nil
	}
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	id, err := find(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(id)
}
