package confinement

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forbidden are calls that Landlock does not check, and by which a worker of
// hsmd's user could still open hsmd's files to others. io_uring is in it because
// what it does passes seccomp by.
var forbidden = append([]uint32{
	unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWNAT,
	unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_SETXATTRAT,
	unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_REMOVEXATTRAT,
	unix.SYS_FILE_SETATTR,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
}, forbiddenHere...)

// restrictCalls has seccomp bound the thread. Without sockets, the worker can
// make no socket of the Unix domain, and so reach neither hsmd's nor that of
// anybody who would do something for its user.
func restrictCalls(sockets bool) error {
	filter := program(sockets)
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: unsafe.SliceData(filter)}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
	runtime.KeepAlive(filter)
	if err != nil {
		return fmt.Errorf("PR_SET_SECCOMP: %w", err)
	}
	return nil
}

// Offsets in struct seccomp_data. Arguments that are an int count by their low
// half, which comes first on the processors that auditArch is set for.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

const (
	allow = unix.SECCOMP_RET_ALLOW
	deny  = unix.SECCOMP_RET_ERRNO | uint32(unix.EACCES)
	none  = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

func program(sockets bool) []unix.SockFilter {
	p := []unix.SockFilter{
		load(offsetArch), // calls of another kind of processor have other numbers
		jump(unix.BPF_JEQ, auditArch, 1, 0), answer(none),
		load(offsetNumber),
		jump(unix.BPF_JGE, firstOfOtherABI, 0, 1), answer(none),
	}
	for _, number := range forbidden {
		p = append(p, jump(unix.BPF_JEQ, number, 0, 1), answer(deny))
	}
	// The limits of another process, which may be hsmd.
	p = append(p, call(unix.SYS_PRLIMIT64, argument(0), jump(unix.BPF_JEQ, 0, 1, 0), answer(deny), answer(allow))...)
	if !sockets {
		p = append(p, call(unix.SYS_SOCKET, argument(0), jump(unix.BPF_JEQ, unix.AF_UNIX, 0, 1), answer(deny), answer(allow))...)
		// A pair of datagram sockets can be sent from to any other.
		p = append(p, call(unix.SYS_SOCKETPAIR, argument(0), jump(unix.BPF_JEQ, unix.AF_UNIX, 0, 4),
			argument(1), unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0xf}, jump(unix.BPF_JEQ, unix.SOCK_STREAM, 1, 0), answer(deny),
			answer(allow))...)
	}
	return append(p, answer(allow))
}

// call is a piece of program for one call; it ends in an answer.
func call(number uint32, body ...unix.SockFilter) []unix.SockFilter {
	return append([]unix.SockFilter{jump(unix.BPF_JEQ, number, 0, uint8(len(body)))}, body...)
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func argument(i uint32) unix.SockFilter { return load(offsetArgs + 8*i) }

func jump(test uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | test, Jt: yes, Jf: no, K: k}
}

func answer(action uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
}
