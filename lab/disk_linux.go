package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// diskVariable names, in the environment of a process of a test binary, the test that it runs on a file system of its own.
const diskVariable = "UNDERSTUDY_LAB_DISK"

// Disk is a file system of a test's own (tmpfs), small enough to be filled.
type Disk struct {
	// Dir is where it is mounted.
	Dir    string
	filler string
}

// OwnDisk gives the test of that name a file system of that many KiB. The test begins anew for that, in a process of its
// own in which nobody else sees what is mounted: mount_namespaces(7) and, for who is not root, user_namespaces(7). It is
// nil where that process has run the test, which is over then. The test is skipped where neither namespace may be made.
func OwnDisk(t Test, name string, kib int) *Disk {
	if os.Getenv(diskVariable) == name {
		return mounted(t, kib)
	}
	var refused []string
	for _, flags := range []uintptr{syscall.CLONE_NEWNS, syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER} {
		said, err := apart(t, name, flags)
		switch {
		case errors.Is(err, errNoNamespace):
			refused = append(refused, err.Error())
		case err != nil:
			t.Fatalf("%s in a process of its own: %v\n%s", name, err, said)
		case strings.Contains(said, "--- SKIP: "+name):
			refused = append(refused, strings.TrimSpace(said))
		default:
			t.Logf("in a process of its own:\n%s", said)
			return nil
		}
	}
	Check(t, &Missing{What: "the right to mount a file system of its own", Why: strings.Join(refused, "; "),
		Fix: "run as root with CAP_SYS_ADMIN, or allow user namespaces"})
	return nil
}

// errNoNamespace says that this process may not make such a namespace.
var errNoNamespace = errors.New("no namespace")

// apart runs the test again in namespaces of its own, and gives what it said.
func apart(t Test, name string, flags uintptr) (string, error) {
	attributes := childAttributes()
	attributes.Unshareflags = flags
	if flags&syscall.CLONE_NEWUSER != 0 {
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	p, err := Start(Command{
		Name: name, Path: os.Args[0], Args: []string{"-test.run=^" + name + "$", "-test.v", "-test.count=1"},
		Env: []string{diskVariable + "=" + name}, Log: filepath.Join(t.TempDir(), "log"), attributes: attributes,
	})
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoNamespace, err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	<-p.Done()
	said, err := os.ReadFile(p.Log())
	return string(said), errors.Join(p.err, err)
}

// mounted makes the file system in this process.
func mounted(t Test, kib int) *Disk {
	d := &Disk{Dir: t.TempDir()}
	if err := syscall.Mount("tmpfs", d.Dir, "tmpfs", 0, fmt.Sprintf("size=%dk", kib)); err != nil {
		t.Skipf("mount: %v", err)
	}
	d.filler = filepath.Join(d.Dir, "filler")
	t.Cleanup(func() {
		if err := syscall.Unmount(d.Dir, 0); err != nil {
			t.Fatalf("unmount: %v", err)
		}
	})
	return d
}

// Fill takes the room that is left, but for that many bytes.
func (d *Disk) Fill(but int64) error {
	f, err := os.Create(d.filler)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	taken := int64(0)
	for chunk := make([]byte, 64<<10); err == nil; {
		n := 0
		n, err = f.Write(chunk)
		taken += int64(n)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return f.Truncate(taken - but)
}

// Free gives back what Fill took.
func (d *Disk) Free() error { return os.Remove(d.filler) }
