package local

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/understudy-dr/understudy/filecopy"
)

// xattrsKnown says that this system's extended attributes are read and set.
const xattrsKnown = true

// utimeOmit leaves a time as it is.
const utimeOmit = unix.UTIME_OMIT

// gateTarget is where the gate leads: the directories that this process has open, by number.
const gateTarget = "/proc/self/fd"

// magic names an entry of an open directory for calls that take a path only. The kernel resolves it to the open directory, so
// nothing above the entry is looked up by name again; the l-calls do not follow the entry itself.
func magic(fd int, name string) string {
	if fd == unix.AT_FDCWD {
		return name
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", fd, name)
}

// readXattrs reads the attributes of the user namespace, sorted; others belong to the kernel or to security modules.
func readXattrs(fd int, name string) ([]filecopy.Xattr, error) {
	path := magic(fd, name)
	n, err := unix.Llistxattr(path, nil)
	if err != nil || n == 0 {
		return nil, unlessMissing(err)
	}
	names := make([]byte, n)
	if n, err = unix.Llistxattr(path, names); err != nil {
		return nil, err
	}
	var all []filecopy.Xattr
	for _, x := range strings.Split(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		if !strings.HasPrefix(x, "user.") {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, x, value)
		if errors.Is(err, unix.ENODATA) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, filecopy.Xattr{Name: x, Value: slices.Clone(value[:n])})
	}
	slices.SortFunc(all, func(a, b filecopy.Xattr) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// unlessMissing takes a file system without extended attributes as one where none are set.
func unlessMissing(err error) error {
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}

// setXattrs makes the attributes of the user namespace what they should be.
func setXattrs(fd int, name string, want []filecopy.Xattr) error {
	have, err := readXattrs(fd, name)
	if err != nil {
		return err
	}
	path := magic(fd, name)
	for _, x := range want {
		if !strings.HasPrefix(x.Name, "user.") {
			continue
		}
		if err := unix.Lsetxattr(path, x.Name, x.Value, 0); err != nil {
			return err
		}
	}
	for _, x := range have {
		if slices.ContainsFunc(want, func(w filecopy.Xattr) bool { return w.Name == x.Name }) {
			continue
		}
		if err := unix.Lremovexattr(path, x.Name); err != nil {
			return err
		}
	}
	return nil
}

// barrier makes durable all that was done on the file system before.
func barrier(fd int) error { return unix.Syncfs(fd) }
