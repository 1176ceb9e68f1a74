package adls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/directory"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/file"

	"github.com/understudy-dr/understudy/filecopy"
)

const (
	// keepPart is how much of a kept object is sent at once, and temporary how its name begins until it is whole.
	keepPart  = 4 << 20
	temporary = filecopy.HalfKept
	// privateMode is that of the mover's own directories.
	privateMode = 0o700
	// unbarredFor is how long an answer about the area holds: much less than any lease, and long enough to cost next to nothing.
	unbarredFor = 200 * time.Millisecond
)

// unbarred refuses a call that changes the tree in place when a file stands where the area was. Such a call is tied to the area by nothing
// else: the service has no condition on another path. The moment that counts is the one before the question was sent.
func (s *Store) unbarred(ctx context.Context) error {
	now := time.Now()
	if last := s.asked.Load(); last != nil && now.Sub(*last) < unbarredFor {
		return ctx.Err()
	}
	area, err := s.head(ctx, s.at.Area, "")
	if err == nil && !area.dir {
		return fmt.Errorf("%w: a file stands where the mover's area was", filecopy.ErrChanged)
	}
	if err != nil && !errors.Is(err, filecopy.ErrNotFound) {
		return err
	}
	s.asked.Store(&now)
	return nil
}

// mkdir makes a directory with those above it; one that is there is left as it is, and gives ErrChanged.
func (s *Store) mkdir(ctx context.Context, name string, mode uint32) error {
	c, err := s.open(ctx)
	if err != nil {
		return err
	}
	permissions, umask := fmt.Sprintf("%04o", mode&(bitsMask|stickyBit)), "0000"
	_, err = c.NewDirectoryClient(name).Create(ctx, &directory.CreateOptions{Permissions: &permissions, Umask: &umask, AccessConditions: unless()})
	return tell(err)
}

// enter makes the mover's own directory, which is nobody else's business, nor is the one above it unless the tree lies there too.
func (s *Store) enter(ctx context.Context) error {
	if s.private.Load() {
		return nil
	}
	own := []string{s.at.Area}
	if above := path.Dir(s.at.Area); above != "." && !filecopy.Path(s.at.Root).Below(filecopy.Path(above)) {
		own = []string{above, s.at.Area}
	}
	for _, dir := range own {
		if err := s.mkdir(ctx, dir, privateMode); err != nil && !errors.Is(err, filecopy.ErrChanged) {
			return err
		}
	}
	s.private.Store(true)
	return nil
}

// MakeDirectory makes a directory with its attributes, or sets them. The root of a file system is always there.
func (s *Store) MakeDirectory(ctx context.Context, e filecopy.Entry) error {
	if s.at.Name(e.Path) == "" {
		return s.SetAttributes(ctx, e.Path, e.Attributes, filecopy.AllFields)
	}
	if err := s.unbarred(ctx); err != nil {
		return err
	}
	err := s.mkdir(ctx, s.at.Name(e.Path), e.Mode)
	if err == nil {
		if err := s.unbarred(ctx); err != nil {
			return err
		}
		return s.dress(ctx, s.at.Name(e.Path), e.Attributes, e.Mode&stickyBit != 0)
	}
	if !errors.Is(err, filecopy.ErrChanged) {
		return err
	}
	now, herr := s.head(ctx, s.at.Name(e.Path), "")
	if herr != nil || !now.dir {
		return errors.Join(fmt.Errorf("%w: %q is no directory", filecopy.ErrChanged, string(e.Path)), herr)
	}
	return s.SetAttributes(ctx, e.Path, e.Attributes, filecopy.AllFields)
}

// MakeLink does nothing: the manifest keeps links.
func (s *Store) MakeLink(context.Context, filecopy.Entry) error { return nil }

// Move renames an entry to a free place. When an answer was lost, the second try finds its own work there.
func (s *Store) Move(ctx context.Context, from, to filecopy.Path) error {
	if err := s.unbarred(ctx); err != nil {
		return err
	}
	_, err := s.rename(ctx, s.at.Name(from), s.at.Name(to), true)
	if errors.Is(err, filecopy.ErrChanged) {
		if _, herr := s.head(ctx, s.at.Name(from), ""); errors.Is(herr, filecopy.ErrNotFound) {
			return herr
		}
	}
	return err
}

// Retire renames an entry into the quarantine.
func (s *Store) Retire(ctx context.Context, p filecopy.Path, quarantine string) error {
	if err := filecopy.CheckRetired(p, quarantine); err != nil {
		return err
	}
	if _, err := s.head(ctx, s.at.Name(p), ""); err != nil {
		return absentIsFine(err)
	}
	to := s.at.Place(quarantineDir, quarantine, string(p))
	err := s.enter(ctx)
	if err == nil {
		err = s.mkdir(ctx, path.Dir(to), privateMode)
	}
	if err != nil && !errors.Is(err, filecopy.ErrChanged) {
		return err
	}
	return filecopy.Twins(to, func(free string) (bool, error) {
		_, err := s.rename(ctx, s.at.Name(p), free, true)
		if errors.Is(err, filecopy.ErrNotFound) {
			// What was to be retired is gone, or the place for it is not there.
			if _, herr := s.head(ctx, s.at.Name(p), ""); herr != nil {
				return true, absentIsFine(herr)
			}
			return true, err
		}
		if !errors.Is(err, filecopy.ErrChanged) {
			return true, err
		}
		return false, nil
	})
}

// Quarantines lists the quarantines, and removes old ones.
func (s *Store) Quarantines(ctx context.Context, removeBefore time.Time) ([]filecopy.Quarantine, error) {
	var names []string
	err := s.each(ctx, s.at.Place(quarantineDir), false, func(h held) error {
		names = append(names, path.Base(h.name))
		return nil
	})
	if err != nil {
		return nil, absentIsFine(err)
	}
	return filecopy.Outdated(names, removeBefore, func(name string) error {
		return s.removeAll(ctx, s.at.Place(quarantineDir, name))
	})
}

// removeAll removes a directory with all below it, for good.
func (s *Store) removeAll(ctx context.Context, name string) error {
	c, err := s.open(ctx)
	if err != nil {
		return err
	}
	_, err = c.NewDirectoryClient(name).Delete(ctx, nil)
	return absentIsFine(err)
}

// Keep writes an object beside its name, and renames it there.
func (s *Store) Keep(ctx context.Context, name string, r io.Reader) error {
	if err := filecopy.CheckOwn(name); err != nil {
		return err
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	to := s.at.Place(keptDir, name)
	from := path.Join(path.Dir(to), temporary+path.Base(to))
	f, err := s.file(ctx, from)
	if err != nil {
		return err
	}
	permissions, umask := "0600", "0000"
	if _, err := f.Create(ctx, &file.CreateOptions{Permissions: &permissions, Umask: &umask}); err != nil {
		return tell(err)
	}
	etag, err := s.fill(ctx, from, r)
	if err != nil {
		return err
	}
	_, err = s.rename(ctx, from, to, false)
	if errors.Is(err, filecopy.ErrNotFound) {
		// The answer to a rename that was done may have been lost; a rename keeps the ETag.
		if now, herr := s.head(ctx, to, ""); herr == nil && now.etag == etag {
			return nil
		}
	}
	return err
}

// fill appends all, a piece at a time, and gives the ETag after the last.
func (s *Store) fill(ctx context.Context, name string, r io.Reader) (string, error) {
	at, etag := int64(0), ""
	for {
		var piece bytes.Buffer
		n, err := io.Copy(&piece, io.LimitReader(r, keepPart))
		if err != nil || n == 0 {
			return etag, err
		}
		if etag, err = s.append(ctx, name, at, piece.Bytes()); err != nil {
			return "", err
		}
		at += n
	}
}

// Kept reads an object.
func (s *Store) Kept(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := filecopy.CheckOwn(name); err != nil {
		return nil, err
	}
	now, err := s.head(ctx, s.at.Place(keptDir, name), "")
	if err != nil {
		return nil, err
	}
	return s.rest(now.name, now.etag, 0, now.size).Later(ctx), nil
}

// KeptNames lists the objects. Only the directory that the prefix names is walked.
func (s *Store) KeptNames(ctx context.Context, prefix string) ([]string, error) {
	from, root := s.at.Place(keptDir), s.at.Place(keptDir)+"/"
	if i := strings.LastIndexByte(prefix, '/'); i > 0 {
		from = s.at.Place(keptDir, prefix[:i])
	}
	var names []string
	err := s.each(ctx, from, true, func(h held) error {
		name := strings.TrimPrefix(h.name, root)
		if !h.dir && strings.HasPrefix(name, prefix) && !strings.HasPrefix(path.Base(name), temporary) {
			names = append(names, name)
		}
		return nil
	})
	slices.Sort(names)
	return names, absentIsFine(err)
}

// Forget removes an object.
func (s *Store) Forget(ctx context.Context, name string) error {
	if err := filecopy.CheckOwn(name); err != nil {
		return err
	}
	f, err := s.file(ctx, s.at.Place(keptDir, name))
	if err != nil {
		return err
	}
	_, err = f.Delete(ctx, nil)
	return absentIsFine(err)
}
