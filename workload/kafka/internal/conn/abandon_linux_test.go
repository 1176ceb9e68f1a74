package conn

import (
	"net"
	"syscall"
	"testing"
	"time"
)

func TestTheKernelGivesUp(t *testing.T) {
	c := dial(t, Options{Addr: fake(t)})
	raw, err := c.nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got int
	if err := raw.Control(func(fd uintptr) { got, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, userTimeout) }); err != nil {
		t.Fatal(err)
	}
	if err != nil || time.Duration(got)*time.Millisecond != abandonAfter {
		t.Errorf("TCP_USER_TIMEOUT is %d ms, %v", got, err)
	}
}
