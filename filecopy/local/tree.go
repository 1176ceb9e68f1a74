package local

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-dr/understudy/filecopy"
)

// MakeDirectory makes a directory; the root with all above it.
func (s *Store) MakeDirectory(ctx context.Context, e filecopy.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.Path == "" {
		if err := os.MkdirAll(s.root, 0o700); err != nil {
			return err
		}
		return s.SetAttributes(ctx, "", e.Attributes, filecopy.AllFields)
	}
	fd, name, err := s.parent(e.Path)
	if err != nil {
		return err
	}
	defer closeFD(fd)
	at, gated, err := s.gate("mkdir", fd, name)
	if err != nil {
		return err
	}
	if err := unix.Mkdirat(at, gated, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return tell(err, "make", string(e.Path))
	}
	var st unix.Stat_t
	if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return tell(err, "make", string(e.Path))
	}
	if uint32(st.Mode)&unix.S_IFMT != unix.S_IFDIR {
		return tell(unix.ENOTDIR, "make", string(e.Path))
	}
	return tell(s.style(fd, name, filecopy.Directory, e.Attributes, filecopy.AllFields), "make", string(e.Path))
}

// MakeLink makes a symlink in the area, and renames it to its place.
func (s *Store) MakeLink(ctx context.Context, e filecopy.Entry) error {
	h, err := s.Begin(ctx, "links", e)
	if err != nil {
		return err
	}
	path, err := s.staged(h)
	if err != nil {
		return err
	}
	// The file that Begin made has served as a name that is ours alone.
	temp := path + ".link"
	if err := firstOf(os.Remove(path), os.Symlink(e.Link, temp)); err != nil {
		return err
	}
	fd, name, err := s.parent(e.Path)
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	defer closeFD(fd)
	if err := s.setAttributes(unix.AT_FDCWD, temp, filecopy.Symlink, e.Attributes, filecopy.AllFields); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	s.reach("link")
	if err := unix.Renameat(unix.AT_FDCWD, temp, fd, name); err != nil {
		return errors.Join(tell(err, "link", string(e.Path)), os.Remove(temp))
	}
	return nil
}

// SetAttributes sets fields of an entry.
func (s *Store) SetAttributes(ctx context.Context, p filecopy.Path, a filecopy.Attributes, f filecopy.Fields) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p == "" {
		fd, err := s.openRoot()
		if err != nil {
			return err
		}
		defer closeFD(fd)
		return tell(s.style(fd, ".", filecopy.Directory, a, f), "set attributes of", s.root)
	}
	fd, name, err := s.parent(p)
	if err != nil {
		return err
	}
	defer closeFD(fd)
	var st unix.Stat_t
	if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return tell(err, "set attributes of", string(p))
	}
	kind := filecopy.File
	if uint32(st.Mode)&unix.S_IFMT == unix.S_IFLNK {
		kind = filecopy.Symlink
	}
	return tell(s.style(fd, name, kind, a, f), "set attributes of", string(p))
}

// style sets fields of a name in an open directory of the tree.
func (s *Store) style(fd int, name string, kind filecopy.EntryKind, a filecopy.Attributes, f filecopy.Fields) error {
	at, gated, err := s.gate("style", fd, name)
	if err != nil {
		return err
	}
	return s.setAttributes(at, gated, kind, a, f)
}

// Move renames an entry to a free place.
func (s *Store) Move(ctx context.Context, from, to filecopy.Path) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	a, old, err := s.parent(from)
	if err != nil {
		return err
	}
	defer closeFD(a)
	b, name, err := s.parent(to)
	if err != nil {
		return err
	}
	defer closeFD(b)
	var st unix.Stat_t
	if err := unix.Fstatat(a, old, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return tell(err, "move", string(from))
	}
	if err := unix.Fstatat(b, name, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil {
		return tell(unix.EEXIST, "move", string(to))
	}
	source, old, err := s.gate("move from", a, old)
	if err != nil {
		return err
	}
	target, name, err := s.gate("move to", b, name)
	if err != nil {
		return err
	}
	return tell(unix.Renameat(source, old, target, name), "move", string(from))
}

// maxTwins is how many things of one path one quarantine may hold.
const maxTwins = 1000

// Retire renames an entry into the quarantine.
func (s *Store) Retire(ctx context.Context, p filecopy.Path, quarantine string) error {
	if err := firstOf(ctx.Err(), safe(quarantine)); err != nil {
		return err
	}
	fd, name, err := s.parent(p)
	if errors.Is(err, filecopy.ErrNotFound) || errors.Is(err, filecopy.ErrChanged) {
		return nil
	}
	if err != nil {
		return err
	}
	defer closeFD(fd)
	free, err := s.berth(quarantine, string(p), 0)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(free), 0o700)
	}
	if err != nil {
		return err
	}
	for twin := range maxTwins {
		if free, err = s.berth(quarantine, string(p), twin); err != nil {
			return err
		}
		var st unix.Stat_t
		if unix.Lstat(free, &st) == nil {
			continue
		}
		s.reach("retire")
		err = tell(unix.Renameat(fd, name, unix.AT_FDCWD, free), "retire", string(p))
		if errors.Is(err, filecopy.ErrNotFound) {
			return nil
		}
		return err
	}
	return fmt.Errorf("the quarantine holds %d things of the path %q already", maxTwins, p)
}

// berth gives the nth place for a path in a quarantine. It is longer there than in the tree, or by the number of a twin: what the kernel would not take
// goes right into the quarantine, under a name that is made of the path; filecopy.ErrName where the area's own path leaves no room for that either.
func (s *Store) berth(quarantine, name string, twin int) (string, error) {
	for _, n := range []string{name, fmt.Sprintf("long-%x", sha256.Sum256([]byte(name)))} {
		to := s.place(quarantineDir, quarantine, n)
		if twin > 0 {
			to = fmt.Sprintf("%s.%d", to, twin)
		}
		if len(to) <= maxPath && len(filepath.Base(to)) <= maxName {
			return to, nil
		}
	}
	return "", fmt.Errorf("%w: the path of the mover's area %s is too long for a quarantine", filecopy.ErrName, s.area)
}

// Quarantines lists the quarantines, and removes old ones.
func (s *Store) Quarantines(ctx context.Context, removeBefore time.Time) ([]filecopy.Quarantine, error) {
	names, err := os.ReadDir(s.place(quarantineDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []filecopy.Quarantine
	for _, n := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		made := cutTime(n.Name())
		if removeBefore.IsZero() || made.IsZero() || !made.Before(removeBefore) {
			all = append(all, filecopy.Quarantine{Name: n.Name(), Made: made})
			continue
		}
		if err := os.RemoveAll(s.place(quarantineDir, n.Name())); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Keep stores an object. What was done to the tree before is on disk first.
func (s *Store) Keep(ctx context.Context, name string, r io.Reader) error {
	if err := firstOf(ctx.Err(), safe(name)); err != nil {
		return err
	}
	path := s.place(keptDir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	f, err := os.CreateTemp(filepath.Dir(path), filecopy.HalfKept+"*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = barrier(int(dir.Fd()))
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(full(err), os.Remove(f.Name()))
	}
	if err := dir.Sync(); err != nil {
		return err
	}
	// The object is kept; what cannot be removed is there the next time too.
	_ = tidy(dir)
	return nil
}

// tidied is how many names are looked at when an object is kept. It covers directories of few objects, which nobody sweeps.
const tidied = 32

// tidy removes half objects of killed processes from an open directory.
func tidy(dir *os.File) error {
	some, err := dir.ReadDir(tidied)
	for _, e := range some {
		err = errors.Join(err, removeLeft(filepath.Join(dir.Name(), e.Name()), e))
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// removeLeft removes an entry if it is a half object of a killed process.
func removeLeft(path string, e fs.DirEntry) error {
	if !strings.HasPrefix(e.Name(), filecopy.HalfKept) {
		return nil
	}
	info, err := e.Info()
	if err == nil && info.Mode().IsRegular() && filecopy.Left(e.Name(), info.ModTime()) {
		err = os.Remove(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Kept reads an object.
func (s *Store) Kept(_ context.Context, name string) (io.ReadCloser, error) {
	if err := safe(name); err != nil {
		return nil, err
	}
	f, err := os.Open(s.place(keptDir, name))
	if err != nil {
		return nil, tell(err, "read", name)
	}
	return f, nil
}

// KeptNames lists the objects.
func (s *Store) KeptNames(ctx context.Context, prefix string) ([]string, error) {
	root := s.place(keptDir)
	var names []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // forgotten meanwhile
		}
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), filecopy.HalfKept) {
			return err
		}
		if name := strings.TrimPrefix(path, root+"/"); strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
		return ctx.Err()
	})
	slices.Sort(names)
	return names, err
}

// Forget removes an object, and the directories that are empty without it.
func (s *Store) Forget(_ context.Context, name string) error {
	if err := safe(name); err != nil {
		return err
	}
	root := s.place(keptDir)
	for at := s.place(keptDir, name); at != root; at = filepath.Dir(at) {
		err := os.Remove(at)
		if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) {
			return nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Sweep removes half objects of killed processes, and directories that hold nothing, those below them first.
func (s *Store) Sweep(ctx context.Context, name string) error {
	if err := safe(name); err != nil {
		return err
	}
	var all []string
	err := filepath.WalkDir(s.place(keptDir, name), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		switch {
		case err != nil:
		case d.IsDir():
			all = append(all, path)
		default:
			err = removeLeft(path, d)
		}
		return errors.Join(err, ctx.Err())
	})
	for _, at := range slices.Backward(all) {
		if err != nil {
			break
		}
		err = os.Remove(at)
		if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) || errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	return err
}
