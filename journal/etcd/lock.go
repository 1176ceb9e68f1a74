package etcd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
)

// lock takes the lock file for as long as the process lives or until the file is closed. The kernel lets go of it
// when the process dies in any way, so a lock that is free means that the former holder is dead. A process that is
// only stopped keeps it.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, unusable(err, "its lock file cannot be made")
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(locked(path, f), f.Close())
	}
	if err == nil {
		err = sign(f)
	}
	if err != nil {
		return nil, errors.Join(unusable(err, "its lock file cannot be locked"), f.Close())
	}
	return f, nil
}

// sign writes the process id, for those who find the file locked.
func sign(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// locked is ErrLocked as users see it, with the holder.
func locked(path string, f *os.File) error {
	holder := "another process"
	if b, err := io.ReadAll(io.LimitReader(f, 32)); err == nil && len(b) > 0 {
		holder = "process " + strings.TrimSpace(string(b))
	}
	return &understudy.Error{
		Code: "US306", Kind: understudy.KindRefused, Op: "journal.open", Err: journal.ErrLocked,
		Summary: fmt.Sprintf("%s is held by %s", path, holder),
		Fix:     "stop that process, or use another data directory",
	}
}
