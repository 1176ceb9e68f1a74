package hdfs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/wire/hdfs"
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
	return &Store{client: s.client, namespace: s.namespace, root: s.place(stagingDir, lot, assemblyDir), area: s.area, part: s.part, fields: s.fields, hidden: true}, nil
}

// Reveal renames a directory out of the area.
func (s *Store) Reveal(ctx context.Context, lot string, p filecopy.Path) error {
	if err := safe(lot); err != nil {
		return err
	}
	return tell(s.rename(ctx, s.place(stagingDir, lot, assemblyDir)+"/"+string(p), s.at(p)))
}

// placed marks the mode in a handle of a file that is written right where an assembly will have it.
const placed = 0o20000

// inPlace gives the handle of a file that is written where its path is in the assembly, so that publishing it there is no rename; empty where it
// is to be staged as others are: its parts would lie beside it, under names that others may have, or its path does not fit into a handle.
func (s *Store) inPlace(lot string, e filecopy.Entry) filecopy.Handle {
	name := strings.TrimPrefix(s.at(e.Path), s.place(stagingDir)+"/")
	if !s.hidden || e.Size >= s.part || safe(name) != nil || s.CheckName(e.Path) != nil || !strings.HasPrefix(name, lot+"/") {
		return ""
	}
	h := filecopy.Handle(fmt.Sprintf("%s~%d~%d~%o", name, e.BlockSize, e.Replication, uint16(e.Mode&0o777)|placed))
	if len(h) > mostHandle {
		return ""
	}
	return h
}

// taken gives the error of who finds something where a file is to be written in place the meaning that it has for a mover. It may be half of the
// file, by a process that was killed, and what that one sent last may still be on its way: so it is left alone, and the file is staged elsewhere.
func (st staged) taken(err error) error {
	if st.placed && (errors.Is(err, hdfs.ErrExists) || errors.Is(err, hdfs.ErrLease)) {
		return &told{filecopy.ErrNotFound, err}
	}
	return tell(err)
}
