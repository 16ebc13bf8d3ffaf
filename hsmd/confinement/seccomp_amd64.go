package confinement

import "golang.org/x/sys/unix"

const (
	auditArch       = unix.AUDIT_ARCH_X86_64
	firstOfOtherABI = 0x40000000 // x32
)

// forbiddenHere are calls that newer kinds of processor no longer have.
var forbiddenHere = []uint32{unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN}
