//go:build unix

package kafkasim

import (
	"net"
	"sync"
	"syscall"
)

// hold keeps a port of this machine while nothing listens on it, so that no other cluster, and no client, gets the port of
// one that is down. Connections are refused meanwhile. What it returns gives the port
// back, and may be called again.
func hold(addr net.Addr) (release func()) {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || tcp.IP.To4() == nil {
		return func() {}
	}
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return func() {}
	}
	// Connections of the listener that was there may still be closing.
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	_ = syscall.Bind(fd, &syscall.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(tcp.IP.To4())})
	return sync.OnceFunc(func() { _ = syscall.Close(fd) })
}
