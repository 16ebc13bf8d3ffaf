// Package confinement shuts a worker in before a vendor's library is loaded, so
// that the library's own constructors run inside already. What it takes away
// cannot be had back, by the worker or by anything that the worker starts.
//
// Landlock bounds the files, seccomp what Landlock leaves open: modes and owners
// of files, sockets of the file system, io_uring. A mark tells hsmd that a peer
// is one of its own workers. The package knows no key and no protocol.
//
// Start at [Enter].
package confinement

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rules say what a worker may reach.
type Rules struct {
	Library string   // the shared object that will be loaded
	Paths   []string // without symbolic links in them; nil: everything that its user may
	OwnUser bool     // it does not run as hsmd's user
}

// Enter takes from the calling thread what a worker does not need. The caller
// has locked the thread and executes a program next, by which it holds for the
// whole process. environ is what that program will get.
func Enter(r Rules, environ []string) error {
	if err := mark(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("PR_SET_NO_NEW_PRIVS: %w", err)
	}
	if r.Paths != nil || r.OwnUser {
		if err := dropCapabilities(); err != nil {
			return err
		}
	}
	if r.Paths == nil {
		return nil
	}
	sockets, err := restrictFiles(r, environ)
	if err != nil {
		return err
	}
	return restrictCalls(sockets)
}

// dropCapabilities leaves none, and with no_new_privs none comes back, not for
// root either.
func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, unsafe.SliceData(none[:])); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	return nil
}
