package unixsock

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

func inherit(cfg Config, file *os.File) (*Listener, error) {
	if err := checkFolder(filepath.Dir(cfg.Path)); err != nil {
		return nil, err
	}
	info, err := os.Lstat(cfg.Path)
	if err != nil {
		return nil, err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return nil, fmt.Errorf("the path is taken by something that is no socket (%s)", info.Mode().Type())
	}
	if err := cfg.fits(info); err != nil {
		return nil, err
	}
	inner, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	l, ok := inner.(*net.UnixListener)
	if !ok {
		inner.Close()
		return nil, os.NewSyscallError("socket", syscall.EPROTOTYPE)
	}
	l.SetUnlinkOnClose(false)
	return &Listener{UnixListener: l}, nil
}

// fits says in what a socket file is not as configured.
func (c Config) fits(info fs.FileInfo) error {
	want := c.Mode.Perm()
	if want == 0 {
		want = 0o600
	}
	if got := info.Mode().Perm(); got != want {
		return fmt.Errorf("its mode is %04o and should be %04o", got, want)
	}
	uid, gid, err := c.owner()
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	if !isOwn(int(owner.Uid), uid, os.Geteuid()) {
		return fmt.Errorf("its owner is user %d, which is not configured", owner.Uid)
	}
	if !isOwn(int(owner.Gid), gid, os.Getegid()) {
		return fmt.Errorf("its group is %d, which is not configured", owner.Gid)
	}
	return nil
}

// isOwn compares a number with the configured one, or where that is -1, with
// this process's and root's.
func isOwn(got, configured, ours int) bool {
	if configured != -1 {
		return got == configured
	}
	return got == ours || got == 0
}
