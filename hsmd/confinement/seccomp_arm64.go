package confinement

import "golang.org/x/sys/unix"

const (
	auditArch       = unix.AUDIT_ARCH_AARCH64
	firstOfOtherABI = 0xffffffff
)

var forbiddenHere []uint32
