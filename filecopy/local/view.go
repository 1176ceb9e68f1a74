package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// tick is longer than the step of the clock that stamps changes. A file that was changed less than a tick ago may be changed
// again without getting another stamp, so nothing of it is read before.
const tick = 20 * time.Millisecond

// listBatch is how many names of a directory are read at once.
const listBatch = 1024

// view is the live tree.
type view struct{ store *Store }

// Close releases nothing: files are opened as they are needed.
func (v *view) Close() error { return nil }

// Sum is not known to a file system.
func (v *view) Sum(context.Context, filecopy.Entry) (filecopy.Checksum, error) {
	return filecopy.Checksum{}, filecopy.ErrUnsupported
}

// Stat gives one entry.
func (v *view) Stat(ctx context.Context, p filecopy.Path) (filecopy.Entry, error) {
	if err := ctx.Err(); err != nil {
		return filecopy.Entry{}, err
	}
	if p == "" {
		fd, err := v.store.openRoot()
		if err != nil {
			return filecopy.Entry{}, err
		}
		defer closeFD(fd)
		return v.store.entry(fd, ".", "")
	}
	fd, name, err := v.store.parent(p)
	if errors.Is(err, filecopy.ErrChanged) {
		// Something that is no directory stands above: the entry is not there.
		return filecopy.Entry{}, fmt.Errorf("%w: %w", filecopy.ErrNotFound, err)
	}
	if err != nil {
		return filecopy.Entry{}, err
	}
	defer closeFD(fd)
	return v.store.entry(fd, name, p)
}

// List walks the tree below a directory.
func (v *view) List(ctx context.Context, dir filecopy.Path, found func(filecopy.Entry) error) error {
	fd, err := v.store.openDir(dir)
	if err != nil {
		return err
	}
	return v.list(ctx, os.NewFile(uintptr(fd), filepath.Join(v.store.root, string(dir))), dir, found)
}

// list gives the entries of one directory and below, and closes it. Only names of subdirectories are held.
func (v *view) list(ctx context.Context, f *os.File, dir filecopy.Path, found func(filecopy.Entry) error) error {
	defer func() { _ = f.Close() }()
	for {
		names, err := f.Readdirnames(listBatch)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := v.listed(ctx, int(f.Fd()), dir.Join(name), found); err != nil {
				return err
			}
		}
	}
}

// listed gives one entry that a directory named, and what is below it. One that vanished since is left out.
func (v *view) listed(ctx context.Context, fd int, p filecopy.Path, found func(filecopy.Entry) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e, err := v.store.entry(fd, p.Base(), p)
	if errors.Is(err, filecopy.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = found(e)
	}
	if err != nil || e.Kind != filecopy.Directory {
		return err
	}
	below, err := retry(func() (int, error) {
		return unix.Openat(fd, p.Base(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err = tell(err, "open", string(p)); errors.Is(err, filecopy.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return v.list(ctx, os.NewFile(uintptr(below), string(p)), p, found)
}

// entry reads what is known about a name in an open directory.
func (s *Store) entry(fd int, name string, p filecopy.Path) (filecopy.Entry, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return filecopy.Entry{}, tell(err, "stat", string(p))
	}
	e := filecopy.Entry{Path: p}
	e.Mode = uint32(st.Mode) & 0o7777
	e.Modified, e.Accessed = millis(st.Mtim), millis(st.Atim)
	if s.fields.Has(filecopy.FieldOwner) {
		e.Owner, e.Group = s.people.user(st.Uid), s.people.group(st.Gid)
	}
	switch uint32(st.Mode) & unix.S_IFMT {
	case unix.S_IFREG:
		e.Kind, e.Size, e.Version = filecopy.File, st.Size, version(&st)
	case unix.S_IFDIR:
		e.Kind = filecopy.Directory
	case unix.S_IFLNK:
		e.Kind, e.Mode = filecopy.Symlink, 0
		link, err := readLink(fd, name)
		if err != nil {
			return e, tell(err, "read link", string(p))
		}
		e.Link = link
		return e, nil
	default:
		return e, &understudy.Error{
			Code: "US618", Kind: understudy.KindInvalid, Op: "filecopy.list",
			Summary: fmt.Sprintf("%q is neither file, directory nor link", string(p)), Fix: "remove it, or leave it out",
		}
	}
	if !s.fields.Has(filecopy.FieldXattrs) {
		return e, nil
	}
	var err error
	e.Xattrs, err = readXattrs(fd, name)
	return e, tell(err, "read attributes", string(p))
}

// version tells one content of a file from another.
func version(st *unix.Stat_t) string {
	return fmt.Sprintf("%d:%d:%d:%d", st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano())
}

func millis(t unix.Timespec) int64 { return time.Unix(0, t.Nano()).UnixMilli() }

func readLink(fd int, name string) (string, error) {
	buffer := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, name, buffer)
	if err != nil {
		return "", err
	}
	return string(buffer[:n]), nil
}

// Read reads a file, held to its version.
func (v *view) Read(ctx context.Context, e filecopy.Entry, offset int64) (io.ReadCloser, error) {
	fd, name, err := v.store.parent(e.Path)
	if err != nil {
		return nil, err
	}
	defer closeFD(fd)
	// Without O_NONBLOCK a pipe put in the file's place would hold the open for ever.
	n, err := retry(func() (int, error) {
		return unix.Openat(fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, tell(err, "open", string(e.Path))
	}
	r := &reader{ctx: ctx, file: os.NewFile(uintptr(n), string(e.Path)), want: e.Version}
	if err = r.settle(); err == nil {
		_, err = r.file.Seek(offset, io.SeekStart)
	}
	if err != nil {
		_ = r.file.Close()
		return nil, err
	}
	return r, nil
}

// reader reads one version of a file.
type reader struct {
	ctx  context.Context
	file *os.File
	want string
}

// settle waits until a change would be seen, and compares.
func (r *reader) settle() error {
	st, err := r.check()
	if err != nil {
		return err
	}
	wait := min(tick-time.Since(time.Unix(0, st.Ctim.Nano())), tick)
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
	_, err = r.check()
	return err
}

// check compares the version.
func (r *reader) check() (unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(r.file.Fd()), &st); err != nil {
		return st, err
	}
	if version(&st) != r.want {
		return st, fmt.Errorf("%w: %q", filecopy.ErrChanged, r.file.Name())
	}
	return st, nil
}

// Read gives ErrChanged in place of the end when the file is another one by then.
func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.file.Read(p)
	if errors.Is(err, io.EOF) {
		if _, cerr := r.check(); cerr != nil {
			return n, cerr
		}
	}
	return n, err
}

func (r *reader) Close() error { return r.file.Close() }
