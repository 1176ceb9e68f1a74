//go:build !linux

package conn

import "syscall"

// abandonUnacknowledged leaves to the kernel how long it repeats what the peer does not acknowledge.
func abandonUnacknowledged(_, _ string, _ syscall.RawConn) error { return nil }
