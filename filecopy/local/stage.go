package local

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-dr/understudy/filecopy"
)

// The area has three places.
const (
	stagingDir    = "staging"
	quarantineDir = "quarantine"
	keptDir       = "kept"
)

// place gives a path in the area.
func (s *Store) place(elements ...string) string {
	return filepath.Join(append([]string{s.area}, elements...)...)
}

// safe refuses names that would leave the area.
func safe(name string) error {
	if name == "" || filecopy.Path(name).Check() != nil {
		return fmt.Errorf("%w: %q cannot be used in the mover's area", filecopy.ErrName, name)
	}
	return nil
}

// Begin makes an empty file in the lot.
func (s *Store) Begin(ctx context.Context, lot string, _ filecopy.Entry) (filecopy.Handle, error) {
	if err := firstOf(ctx.Err(), safe(lot)); err != nil {
		return "", err
	}
	id := make([]byte, 12)
	if _, err := rand.Read(id); err != nil {
		return "", err
	}
	name := hex.EncodeToString(id)
	// Some file systems are slow with very many files in one directory.
	handle := lot + "/" + name[:2] + "/" + name[2:]
	path := s.place(stagingDir, handle)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return "", err
		}
		f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	}
	if err != nil {
		return "", err
	}
	return filecopy.Handle(handle), f.Close()
}

func firstOf(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// staged gives the path of a staged file.
func (s *Store) staged(h filecopy.Handle) (string, error) {
	return s.place(stagingDir, string(h)), safe(string(h))
}

// Write writes one part at its offset and waits for the disk.
func (s *Store) Write(_ context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	path, err := s.staged(h)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return tell(err, "write", path)
	}
	buffer := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buffer)
	// Neither side may take a short cut past the buffer: bytes have to pass the mover's sum.
	_, err = io.CopyBuffer(io.NewOffsetWriter(f, p.Offset), struct{ io.Reader }{r}, *buffer)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return full(err)
}

// full names an error of a disk without room, whichever call met it.
func full(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return errors.Join(filecopy.ErrFull, err)
	}
	return err
}

// Seal looks at the length. The mover reads the file back.
func (s *Store) Seal(ctx context.Context, h filecopy.Handle, e filecopy.Entry, _ filecopy.Checksum) (filecopy.Sealed, error) {
	path, err := s.staged(h)
	if err != nil {
		return filecopy.Sealed{}, err
	}
	var st unix.Stat_t
	if err := firstOf(ctx.Err(), tell(unix.Lstat(path, &st), "seal", path)); err != nil {
		return filecopy.Sealed{}, err
	}
	if st.Size != e.Size {
		return filecopy.Sealed{}, fmt.Errorf("%w: %d bytes are staged of %d", filecopy.ErrCorrupt, st.Size, e.Size)
	}
	return filecopy.Sealed{Handle: h, Identity: fmt.Sprintf("%d", st.Ino)}, nil
}

// Rescue renames a sealed file into another lot. Whoever had its handle does not know the new place, and has it open no more: it was sealed.
func (s *Store) Rescue(ctx context.Context, lot string, sealed filecopy.Sealed, _ filecopy.Entry) (filecopy.Handle, error) {
	from, err := s.staged(sealed.Handle)
	if err := firstOf(ctx.Err(), err, safe(lot)); err != nil {
		return "", err
	}
	handle := path.Join(lot, path.Base(path.Dir(string(sealed.Handle))), path.Base(string(sealed.Handle)))
	to := s.place(stagingDir, handle)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return "", full(err)
	}
	if err := os.Rename(from, to); err != nil {
		return "", tell(err, "rescue", from)
	}
	return filecopy.Handle(handle), full(syncDir(filepath.Dir(to)))
}

// syncDir waits until the disk has the names of a directory.
func syncDir(at string) error {
	d, err := os.Open(at)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}

// ReadSealed reads a staged file.
func (s *Store) ReadSealed(_ context.Context, sealed filecopy.Sealed) (io.ReadCloser, error) {
	path, err := s.staged(sealed.Handle)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, tell(err, "read", path)
	}
	return f, nil
}

// Publish gives the staged file its attributes and renames it over what stands at the path.
func (s *Store) Publish(ctx context.Context, sealed filecopy.Sealed, e filecopy.Entry) (string, error) {
	path, err := s.staged(sealed.Handle)
	if err := firstOf(ctx.Err(), err); err != nil {
		return "", err
	}
	fd, name, err := s.parent(e.Path)
	if err != nil {
		return "", err
	}
	defer closeFD(fd)
	lot, err := unix.Open(filepath.Dir(path), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		defer closeFD(lot)
		err = s.setAttributes(lot, filepath.Base(path), filecopy.File, e.Attributes, filecopy.AllFields)
	}
	if err == nil {
		s.reach("publish")
		// By its path, so that who has put a file in the area's place bars it.
		err = unix.Renameat(unix.AT_FDCWD, path, fd, name)
	}
	if err = tell(err, "publish", string(e.Path)); err != nil && !errors.Is(err, filecopy.ErrNotFound) {
		return "", err
	}
	return s.published(fd, name, sealed, err)
}

// published gives the version of a published file. When the staged file was gone, it must be the one that stands there.
func (s *Store) published(fd int, name string, sealed filecopy.Sealed, missing error) (string, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return "", tell(err, "publish", name)
	}
	if missing != nil && fmt.Sprintf("%d", st.Ino) != sealed.Identity {
		return "", missing
	}
	return version(&st), nil
}

// Discard removes a lot.
func (s *Store) Discard(ctx context.Context, lot string) error {
	if err := firstOf(ctx.Err(), safe(lot)); err != nil {
		return err
	}
	return os.RemoveAll(s.place(stagingDir, lot))
}

// setAttributes sets fields of a name in an open directory. The mode comes after the owner, who may clear bits of it, and the
// times come last.
func (s *Store) setAttributes(fd int, name string, kind filecopy.EntryKind, a filecopy.Attributes, f filecopy.Fields) error {
	f &= s.fields
	if f&(filecopy.FieldOwner|filecopy.FieldGroup) != 0 {
		if err := s.chown(fd, name, a, f); err != nil {
			return err
		}
	}
	if f.Has(filecopy.FieldXattrs) && kind != filecopy.Symlink {
		if err := setXattrs(fd, name, a.Xattrs); err != nil {
			return err
		}
	}
	if f.Has(filecopy.FieldMode) && kind != filecopy.Symlink {
		if err := unix.Fchmodat(fd, name, a.Mode, 0); err != nil {
			return err
		}
	}
	if f&(filecopy.FieldModified|filecopy.FieldAccessed) == 0 {
		return nil
	}
	times := []unix.Timespec{stamp(a.Accessed, f.Has(filecopy.FieldAccessed)), stamp(a.Modified, f.Has(filecopy.FieldModified))}
	return unix.UtimesNanoAt(fd, name, times, unix.AT_SYMLINK_NOFOLLOW)
}

func (s *Store) chown(fd int, name string, a filecopy.Attributes, f filecopy.Fields) error {
	uid, gid := -1, -1
	var err error
	if f.Has(filecopy.FieldOwner) {
		if uid, err = s.people.uid(a.Owner); err != nil {
			return err
		}
	}
	if f.Has(filecopy.FieldGroup) {
		if gid, err = s.people.gid(a.Group); err != nil {
			return err
		}
	}
	return unix.Fchownat(fd, name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
}

// stamp gives a time to set; one that is not known or not asked for stays as it is.
func stamp(ms int64, set bool) unix.Timespec {
	if !set || ms == 0 {
		return unix.Timespec{Nsec: utimeOmit}
	}
	return unix.NsecToTimespec(time.UnixMilli(ms).UnixNano())
}

// cutTime gives the moment in the name of a quarantine.
func cutTime(name string) time.Time {
	t, err := filecopy.QuarantineMade(name)
	if err != nil {
		return time.Time{}
	}
	return t
}
