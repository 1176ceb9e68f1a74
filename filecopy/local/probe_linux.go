package local

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// TryCreate makes and removes an empty file in a directory as another user, by the user's number, and gives the kernel's refusal. Only root
// can act as another: everybody else gets errors.ErrUnsupported.
func TryCreate(dir, name string, uid int) error {
	if os.Geteuid() != 0 {
		return errors.ErrUnsupported
	}
	result := make(chan error, 1)
	go func() {
		// The thread is another user's from here on, so it ends with this function: it is never unlocked.
		runtime.LockOSThread()
		if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
			result <- errno
			return
		}
		_, gerr := unix.SetfsgidRetGid(uid)
		_, uerr := unix.SetfsuidRetUid(uid)
		if err := errors.Join(gerr, uerr); err != nil {
			result <- err
			return
		}
		path := filepath.Join(dir, name)
		fd, err := unix.Open(path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
		if err == nil {
			closeFD(fd)
			err = unix.Unlink(path)
		}
		result <- err
	}()
	return tell(<-result, "create", filepath.Join(dir, name))
}
