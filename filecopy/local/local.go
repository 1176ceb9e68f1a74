package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-dr/understudy/filecopy"
)

// Config says which tree a store is.
type Config struct {
	// Root is the absolute path of the tree.
	Root string
	// Area is where the mover's own files go; empty for a hidden directory beside the root. It must be on the root's file system, and
	// not below the root.
	Area string
	// NoXattrs is for file systems without extended attributes.
	NoXattrs bool
	// NoOwners leaves owners and groups to the manifest; so it is anyway when the process is not root's.
	NoOwners bool
}

// maxName is the longest name of one element in bytes, and maxPath the longest path that the kernel takes.
const (
	maxName = 255
	maxPath = unix.PathMax - 1
)

// Store is a local tree. It implements filecopy.Target.
type Store struct {
	root    string
	area    string
	fields  filecopy.Fields
	people  *people
	buffers *sync.Pool
	// gated says that the area's gate is there.
	gated atomic.Bool
	// reached is for tests.
	reached func(call string)
}

var _ filecopy.Target = &Store{}

// New gives the store of a directory. It touches nothing.
func New(c Config) (*Store, error) {
	root := filepath.Clean(c.Root)
	if !filepath.IsAbs(root) || root == "/" {
		return nil, fmt.Errorf("the root of a local tree must be an absolute path below /, not %q", c.Root)
	}
	area := c.Area
	if area == "" {
		area = filepath.Join(filepath.Dir(root), "."+filepath.Base(root)+".understudy")
	}
	area = filepath.Clean(area)
	if !filepath.IsAbs(area) || area == root || strings.HasPrefix(area, root+"/") {
		return nil, fmt.Errorf("the mover's area must be an absolute path outside of the tree, not %q", c.Area)
	}
	s := &Store{root: root, area: area, people: newPeople()}
	s.fields = filecopy.FieldMode | filecopy.FieldModified | filecopy.FieldAccessed
	if os.Geteuid() == 0 && !c.NoOwners {
		s.fields |= filecopy.FieldOwner | filecopy.FieldGroup
	}
	if xattrsKnown && !c.NoXattrs {
		s.fields |= filecopy.FieldXattrs
	}
	s.buffers = &sync.Pool{New: func() any {
		b := make([]byte, copyBuffer)
		return &b
	}}
	return s, nil
}

// copyBuffer is the size of one read and write.
const copyBuffer = 256 << 10

// partSize is the size of the parts of large files: what is copied again after a crash, at most, for each file in flight.
const partSize = 64 << 20

// Describe says what a local tree can do.
func (s *Store) Describe() filecopy.Description {
	return filecopy.Description{Kind: "local", Name: s.root, Capabilities: filecopy.Capabilities{
		RenameOver:  true,
		Directories: true,
		Symlinks:    true,
		Attributes:  s.fields,
		Proof:       filecopy.ProofNone,
		PartSize:    func(int64) int64 { return partSize },
	}}
}

// CheckName allows every byte that the kernel does, and what readers can name by its whole path. We would come further, directory by directory.
func (s *Store) CheckName(p filecopy.Path) error {
	if err := p.Check(); err != nil {
		return errors.Join(filecopy.ErrName, err)
	}
	if n := len(s.root) + 1 + len(p); n > maxPath {
		return fmt.Errorf("%w: with the root before it, %q has %d bytes, %d are allowed", filecopy.ErrName, p, n, maxPath)
	}
	for element := range strings.SplitSeq(string(p), "/") {
		if len(element) > maxName {
			return fmt.Errorf("%w: an element of %q has %d bytes, %d are allowed", filecopy.ErrName, p, len(element), maxName)
		}
	}
	return nil
}

// Probe looks at the root. Its identity is the file system's id and the inode, so that an empty mount point is another tree.
func (s *Store) Probe(ctx context.Context) (filecopy.Root, error) {
	if err := ctx.Err(); err != nil {
		return filecopy.Root{}, err
	}
	fd, err := s.openRoot()
	if err != nil {
		return filecopy.Root{}, err
	}
	defer closeFD(fd)
	var st unix.Stat_t
	var fsys unix.Statfs_t
	if err := errors.Join(unix.Fstat(fd, &st), unix.Fstatfs(fd, &fsys)); err != nil {
		return filecopy.Root{}, err
	}
	return filecopy.Root{
		Identity: fmt.Sprintf("%x.%x.%d", fsys.Fsid.Val[0], fsys.Fsid.Val[1], st.Ino),
		Now:      time.Now(),
		Free:     int64(fsys.Bavail) * int64(fsys.Bsize),
	}, nil
}

// Open gives the live tree.
func (s *Store) Open(_ context.Context, at filecopy.Pin) (filecopy.View, error) {
	if at != (filecopy.Pin{}) {
		return nil, fmt.Errorf("%w: a local tree has none", filecopy.ErrPinLost)
	}
	return &view{s}, nil
}

// openRoot opens the root itself; a link to it, named in the plan, is followed.
func (s *Store) openRoot() (int, error) {
	fd, err := unix.Open(s.root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return fd, tell(err, "open", s.root)
}

// openDir opens a directory of the tree, no link being followed below the root.
func (s *Store) openDir(p filecopy.Path) (int, error) {
	fd, err := s.openRoot()
	if err != nil || p == "" {
		return fd, err
	}
	return walk(fd, string(p))
}

// parent opens the directory that holds p, and gives the last element.
func (s *Store) parent(p filecopy.Path) (int, string, error) {
	if err := p.Check(); err != nil || p == "" {
		return -1, "", errors.Join(filecopy.ErrName, err)
	}
	fd, err := s.openDir(p.Dir())
	return fd, p.Base(), err
}

// walk opens a path below a directory element by element, and closes the directory.
func walk(fd int, path string) (int, error) {
	for element := range strings.SplitSeq(path, "/") {
		next, err := retry(func() (int, error) {
			return unix.Openat(fd, element, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		})
		closeFD(fd)
		if err != nil {
			return -1, tell(err, "open", path)
		}
		fd = next
	}
	return fd, nil
}

// retry repeats a call that a signal interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

func closeFD(fd int) { _ = unix.Close(fd) }

// tell gives an error of the kernel the meaning it has in the contract.
func tell(err error, op, path string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return &told{filecopy.ErrNotFound, op, path, err}
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), errors.Is(err, unix.EISDIR), errors.Is(err, unix.ENOTEMPTY), errors.Is(err, fs.ErrExist):
		return &told{filecopy.ErrChanged, op, path, err}
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return &told{filecopy.ErrFull, op, path, err}
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

// told is an error of the kernel with its meaning.
type told struct {
	means error
	op    string
	path  string
	err   error
}

func (t *told) Error() string   { return fmt.Sprintf("%s %q: %v", t.op, t.path, t.err) }
func (t *told) Unwrap() []error { return []error{t.means, t.err} }
