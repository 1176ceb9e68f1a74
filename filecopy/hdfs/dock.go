package hdfs

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// brought marks the mode in a handle of a file that others made: no file has this mode, so that Publish sets the right one.
const brought = 0o10000

var _ filecopy.Dock = &Store{}

// Berth makes up a name. A file without a block size, such as an erasure-coded one, is none for others: they would not make a
// replicated one of it.
func (s *Store) Berth(lot string, e filecopy.Entry) (filecopy.Handle, error) {
	if e.BlockSize == 0 || e.Replication == 0 {
		return "", fmt.Errorf("%w: %q is no replicated file", filecopy.ErrUnsupported, string(e.Path))
	}
	return handle(lot, e, brought)
}

// Adopt renames a file that was brought into the staging place. Whoever brought it does not know that place: what still runs of a
// job that was given up can replace what lies at the berth, but nothing that was adopted.
func (s *Store) Adopt(ctx context.Context, h filecopy.Handle) error {
	st, err := s.staged(h)
	if err != nil {
		return err
	}
	from := s.place(carriedDir, st.name)
	if err := s.shelve(ctx, path.Dir(st.path)); err != nil {
		return err
	}
	err = s.client.Rename(ctx, from, st.path)
	if hdfs.IsNotFound(err) || errors.Is(err, hdfs.ErrExists) {
		// It may have been adopted before a crash; then something else at the berth was brought too late.
		_, err = s.client.Stat(ctx, st.path)
	}
	return tell(err)
}

// shelve makes a directory of the staging place, once.
func (s *Store) shelve(ctx context.Context, dir string) error {
	if _, known := s.shelves.Load(dir); known {
		return nil
	}
	if err := s.client.Mkdirs(ctx, dir, privateMode); err != nil {
		return tell(err)
	}
	s.shelves.Store(dir, true)
	return nil
}

// BerthPath gives the absolute path at which a file is to be brought.
func (s *Store) BerthPath(h filecopy.Handle) (string, error) {
	st, err := s.staged(h)
	return s.place(carriedDir, st.name), err
}

// BerthRoot gives the absolute path of the directory below which all berths of a lot lie.
func (s *Store) BerthRoot(lot string) string { return s.place(carriedDir, lot) }

// SourcePath gives the absolute path at which an entry can be read at a pin.
func (s *Store) SourcePath(at filecopy.Pin, p filecopy.Path) string {
	base := s.root
	if at.Name != "" {
		base = s.snapshotPath(at.Name)
	}
	return (&view{store: s, base: base}).at(p)
}

// Client gives the client that the store was made with.
func (s *Store) Client() *hdfs.Client { return s.client }
