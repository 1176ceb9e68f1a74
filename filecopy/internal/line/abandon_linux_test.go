package line_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy/internal/line"
)

// TestTheKernelGivesUp asks the kernel how long it repeats what nobody acknowledges.
func TestTheKernelGivesUp(t *testing.T) {
	const userTimeout = 0x12
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	got := 0
	look := &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
		raw, err := c.Conn.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Error(err)
			return
		}
		if cerr := raw.Control(func(fd uintptr) { got, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, userTimeout) }); cerr != nil || err != nil {
			t.Error(cerr, err)
		}
	}}
	client := http.Client{Transport: line.Usual().Watch(&http.Transport{})}
	if err := ask(httptrace.WithClientTrace(t.Context(), look), &client, server.URL, http.NoBody); err != nil {
		t.Fatal(err)
	}
	if want := line.Usual().Silence; time.Duration(got)*time.Millisecond != want {
		t.Errorf("TCP_USER_TIMEOUT is %d ms, want %v", got, want)
	}
}

// TestAKernelThatKnowsNoLimit opens a connection of a kind that has no such option.
func TestAKernelThatKnowsNoLimit(t *testing.T) {
	at := filepath.Join(t.TempDir(), "at")
	l, err := net.Listen("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c, err := (&net.Dialer{Control: line.AbandonAfter(time.Minute)}).Dial("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
