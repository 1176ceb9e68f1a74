package kafkasim

import (
	"net"
	"runtime"
	"strings"
	"testing"
)

func TestThePortOfADeadClusterIsNobodyElses(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // others may refuse less
	}
	c := begin(t, Options{})
	link, err := c.Link(0)
	if err != nil {
		t.Fatal(err)
	}
	c.Kill()
	for _, addr := range []string{c.Addr(), link.Addr()} {
		if conn, err := net.Dial("tcp", addr); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("dialling %s: %v, %v", addr, conn, err)
		}
	}
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if got := l.Addr().String(); got == c.Addr() || got == link.Addr() {
			t.Fatalf("%s was given to somebody else", got)
		}
	}
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", link.Addr())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
