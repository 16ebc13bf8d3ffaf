package unixsock

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// peerGroups asks for the supplementary groups, for which x/sys/unix has no
// call of its own. The kernel answers ERANGE and the length that is needed when
// the buffer is too small.
func peerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 64)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(unsafe.SliceData(groups))), uintptr(unsafe.Pointer(&size)), 0)
		switch errno {
		case 0:
			return groups[:size/4], nil
		case unix.ERANGE:
			if int(size/4) <= len(groups) {
				return nil, errno
			}
			groups = make([]uint32, size/4)
		default:
			return nil, errno
		}
	}
}
