//go:build !amd64 && !arm64

package confinement

// No filter has been written for this kind of processor: see [Kernel].
const (
	auditArch       = 0
	firstOfOtherABI = 0xffffffff
)

var forbiddenHere []uint32
