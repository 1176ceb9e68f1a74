package local

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/understudy-dr/understudy/filecopy"
)

var (
	_ filecopy.Assembler = &Store{}
	_ filecopy.Rescuer   = &Store{}
)

// assemblyDir is where a lot's new directories are put together, within the lot.
const assemblyDir = "whole"

// Assembly gives the store of a lot's own tree.
func (s *Store) Assembly(lot string) (filecopy.Target, error) {
	if err := safe(lot); err != nil {
		return nil, err
	}
	return &Store{root: s.place(stagingDir, lot, assemblyDir), area: s.area, fields: s.fields, people: s.people, buffers: s.buffers, reached: s.reached}, nil
}

// Reveal renames a directory out of the area, by its path there.
func (s *Store) Reveal(ctx context.Context, lot string, p filecopy.Path) error {
	if err := firstOf(ctx.Err(), safe(lot)); err != nil {
		return err
	}
	fd, name, err := s.parent(p)
	if err != nil {
		return err
	}
	defer closeFD(fd)
	var st unix.Stat_t
	if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil {
		return tell(unix.EEXIST, "reveal", string(p))
	}
	s.reach("reveal")
	return tell(unix.Renameat(unix.AT_FDCWD, s.place(stagingDir, lot, assemblyDir, string(p)), fd, name), "reveal", string(p))
}
