//go:build unix && !linux

package lab

import "syscall"

// childAttributes gives the child a process group of its own; only Linux can tie its life to its parent's.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitStopped waits until a process has heard of a signal; only Linux says when.
func awaitStopped(int) {}
