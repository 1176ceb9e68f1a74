package line

import (
	"syscall"
	"time"
)

// userTimeout is TCP_USER_TIMEOUT (RFC 5482), in milliseconds.
const userTimeout = 0x12

// abandonAfter bounds how long the kernel repeats what the other end does not acknowledge: a request that never arrived is not waited for as long as
// its answer might take, and does not arrive long after its sender gave it up. Where the kernel does not know how, it keeps a time of its own.
func abandonAfter(limit time.Duration) func(network, address string, raw syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, userTimeout, int(limit.Milliseconds()))
		})
	}
}
