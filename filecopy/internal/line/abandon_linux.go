package line

import (
	"syscall"
	"time"
)

// userTimeout is TCP_USER_TIMEOUT (RFC 5482), in milliseconds.
const userTimeout = 0x12

// abandonAfter bounds how long the kernel repeats what the other end does not acknowledge: a request that never arrived is not waited for as long as
// its answer might take, and does not arrive long after its sender gave it up.
func abandonAfter(limit time.Duration) func(network, address string, raw syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, userTimeout, int(limit.Milliseconds()))
		})
		if err != nil {
			return err
		}
		return failed
	}
}
