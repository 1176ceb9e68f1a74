package api

import "syscall"

// peerUID gives the user id of a unix socket's other end, as the kernel recorded it at connect.
func peerUID(fd int) (int, error) {
	c, err := syscall.GetsockoptUcred(fd, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	if err != nil {
		return -1, err
	}
	return int(c.Uid), nil
}
