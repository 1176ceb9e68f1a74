package conn

import "syscall"

// userTimeout is TCP_USER_TIMEOUT (RFC 5482), in milliseconds.
const userTimeout = 0x12

// abandonUnacknowledged bounds how long the kernel repeats what the peer does not acknowledge.
func abandonUnacknowledged(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, userTimeout, int(abandonAfter.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}
