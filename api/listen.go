package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"github.com/understudy-dr/understudy"
)

// callerKey is the context key of the caller's name.
type callerKey struct{}

// Listen opens the unix socket at path, readable and writable by its owner and group only. A socket that a
// dead process left behind is removed; one that answers is an error.
func Listen(path string) (net.Listener, error) {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = c.Close()
		return nil, &understudy.Error{Code: "US510", Kind: understudy.KindRefused, Op: "api.listen",
			Summary: fmt.Sprintf("another process answers on %s", path), Fix: "stop it, or give another listen.socket"}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// The mask closes the moment between bind and chmod.
	old := syscall.Umask(0o117)
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	return l, err
}

// Serve answers on the listener until ctx ends, then lets requests in flight finish for at most five seconds.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		// Streams end with the server's context, so that a watcher does not hold up a shutdown.
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: func(c context.Context, conn net.Conn) context.Context {
			if name, err := peerName(conn); err == nil {
				return context.WithValue(c, callerKey{}, name)
			}
			return c
		},
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := srv.Shutdown(bounded)
	if served := <-done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// peerName asks the kernel who is at the other end of a unix socket: the user's name, or "uid N".
func peerName(conn net.Conn) (string, error) {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return "", errors.New("not a unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return "", err
	}
	uid, inner := -1, error(nil)
	if err := raw.Control(func(fd uintptr) { uid, inner = peerUID(int(fd)) }); err != nil {
		return "", err
	}
	if inner != nil {
		return "", inner
	}
	if who, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return who.Username, nil
	}
	return "uid " + strconv.Itoa(uid), nil
}
