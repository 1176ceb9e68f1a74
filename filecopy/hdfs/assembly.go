package hdfs

import (
	"context"

	"github.com/understudy-dr/understudy/filecopy"
)

var _ filecopy.Assembler = &Store{}

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
