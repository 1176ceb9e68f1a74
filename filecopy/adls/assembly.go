package adls

import (
	"context"
	"errors"

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
	if err := filecopy.CheckOwn(lot); err != nil {
		return nil, err
	}
	return &Store{
		config: s.config, host: s.host, prefix: s.prefix, part: s.part, room: s.room, fields: s.fields, clients: s.clients,
		at: filecopy.Layout{Root: s.at.Place(stagingDir, lot, assemblyDir), Area: s.at.Area}, hidden: true,
	}, nil
}

// Reveal renames a directory out of the area, which is one step however much it holds. When an answer was lost, its own work is found by the
// ETag: a rename keeps it.
func (s *Store) Reveal(ctx context.Context, lot string, p filecopy.Path) error {
	if err := filecopy.CheckOwn(lot); err != nil {
		return err
	}
	from := s.at.Place(stagingDir, lot, assemblyDir, string(p))
	was, err := s.head(ctx, from, "")
	if err != nil {
		return err
	}
	_, err = s.rename(ctx, from, s.at.Name(p), true)
	if errors.Is(err, filecopy.ErrNotFound) || errors.Is(err, filecopy.ErrChanged) {
		if now, herr := s.head(ctx, s.at.Name(p), ""); herr == nil && now.dir && now.etag == was.etag {
			return nil
		}
	}
	return err
}
