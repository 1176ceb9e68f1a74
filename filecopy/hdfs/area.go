package hdfs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// privateMode is that of the mover's own directories.
const privateMode = 0o700

// maxTwins is how many things of one path one quarantine may hold.
const maxTwins = 1000

// unbarredFor is how long an answer about the area holds: much less than any lease, and long enough to cost next to nothing.
const unbarredFor = 200 * time.Millisecond

// open refuses a call that changes the tree in place when a file stands where the area was. Such a call is tied to the area by nothing else:
// the NameNode offers no condition on another path. The moment that counts is the one before the question was sent.
func (s *Store) open(ctx context.Context) error {
	now := time.Now()
	if last := s.unbarred.Load(); last != nil && now.Sub(*last) < unbarredFor {
		return ctx.Err()
	}
	info, err := s.client.Stat(ctx, s.area)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("%w: a file stands where the mover's area was", filecopy.ErrChanged)
	}
	if err != nil && !hdfs.IsNotFound(err) {
		return tell(err)
	}
	s.unbarred.Store(&now)
	return nil
}

// Move renames an entry to a free place.
func (s *Store) Move(ctx context.Context, from, to filecopy.Path) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	return tell(s.rename(ctx, s.at(from), s.at(to)))
}

// rename renames to a free place. Where an entry of another kind stands, a NameNode gives an error without a name of its own.
func (s *Store) rename(ctx context.Context, from, to string) error {
	err := s.client.Rename(ctx, from, to)
	if err == nil || hdfs.IsNotFound(err) || errors.Is(err, hdfs.ErrExists) {
		return err
	}
	if _, serr := s.client.Stat(ctx, to); serr == nil {
		return fmt.Errorf("%w: %w", hdfs.ErrExists, err)
	}
	return err
}

// Retire renames an entry into the quarantine.
func (s *Store) Retire(ctx context.Context, p filecopy.Path, quarantine string) error {
	if err := safe(quarantine); err != nil {
		return err
	}
	if _, err := s.client.Stat(ctx, s.at(p)); hdfs.IsNotFound(err) || errors.Is(err, hdfs.ErrNotDirectory) {
		return nil
	}
	to := s.place(quarantineDir, quarantine) + "/" + string(p)
	if len(to) > maxPath-len(".999") || strings.Count(to, "/") > maxDepth {
		// At its own path it would lie deeper than a NameNode allows.
		to = s.place(quarantineDir, quarantine, fmt.Sprintf("deep-%x", sha256.Sum256([]byte(p))))
	}
	if err := s.client.Mkdirs(ctx, path.Dir(to), privateMode); err != nil {
		return tell(err)
	}
	for twin := range maxTwins {
		free := to
		if twin > 0 {
			free = fmt.Sprintf("%s.%d", to, twin)
		}
		err := s.rename(ctx, s.at(p), free)
		if !errors.Is(err, hdfs.ErrExists) {
			return absentIsFine(err)
		}
	}
	return fmt.Errorf("the quarantine holds %d things of the path %q already", maxTwins, string(p))
}

// Held asks for the directories of the tree that are snapshottable and have snapshots. Who is no superuser is told of his own only, and learns of others
// from the call that they refuse.
func (s *Store) Held(ctx context.Context) (func(filecopy.Path) error, error) {
	all, err := s.client.SnapshottableDirs(ctx)
	if errors.Is(err, hdfs.ErrUnsupported) || hdfs.IsPermission(err) {
		return nil, nil
	}
	if err != nil {
		return nil, tell(err)
	}
	all = slices.DeleteFunc(all, func(d hdfs.SnapshottableDir) bool { return d.Snapshots == 0 || !strings.HasPrefix(d.Path, s.root+"/") })
	if len(all) == 0 {
		return nil, nil
	}
	return func(p filecopy.Path) error {
		at := s.at(p)
		for _, d := range all {
			if d.Path == at || strings.HasPrefix(d.Path, at+"/") {
				return held(d.Path, nil)
			}
		}
		return nil
	}, nil
}

// held says that a directory cannot be taken from its place, and what can be done about it.
func held(dir string, err error) *understudy.Error {
	return &understudy.Error{
		Code: "US748", Kind: understudy.KindRefused, Op: "filecopy.hdfs", Err: err,
		Summary: fmt.Sprintf("somebody took snapshots of %q at the target, so HDFS lets neither it nor a directory above it be removed or renamed", dir),
		Fix: fmt.Sprintf("remove each that `hdfs dfs -ls '%[1]s/.snapshot'` lists by `hdfs dfs -deleteSnapshot '%[1]s' NAME`, have a superuser run `hdfs dfsadmin -disallowSnapshot '%[1]s'` so that no more are taken, "+
			"and retry: what is staged is not copied again", dir),
	}
}

// heldAt gives the directory with snapshots because of which a NameNode refused to remove or rename it, or one above it; empty for other refusals. It
// speaks of a deletion in both cases (FSDirSnapshotOp.checkSnapshot).
func heldAt(by *hdfs.RemoteError) string {
	if by == nil || !errors.Is(by, hdfs.ErrSnapshot) {
		return ""
	}
	_, why, _ := strings.Cut(by.Message, " cannot be deleted since ")
	dir, _, found := strings.Cut(why, " is snapshottable and already has snapshots")
	if !found {
		return ""
	}
	return dir
}

// Quarantines lists the quarantines, and removes old ones.
func (s *Store) Quarantines(ctx context.Context, removeBefore time.Time) ([]filecopy.Quarantine, error) {
	var all []filecopy.Quarantine
	for info, err := range s.client.Entries(ctx, s.place(quarantineDir), hdfs.ListOptions{}) {
		if hdfs.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, tell(err)
		}
		made, err := filecopy.QuarantineMade(info.Name)
		if err != nil || removeBefore.IsZero() || !made.Before(removeBefore) {
			all = append(all, filecopy.Quarantine{Name: info.Name, Made: made})
			continue
		}
		if err := s.client.Delete(ctx, s.place(quarantineDir, info.Name), true); err != nil {
			return nil, tell(err)
		}
	}
	return all, nil
}

// Keep writes an object beside its name, to the disks of the DataNodes, and renames it there.
func (s *Store) Keep(ctx context.Context, name string, r io.Reader) error {
	if err := safe(name); err != nil {
		return err
	}
	to := s.place(keptDir, name)
	temp := path.Join(path.Dir(to), filecopy.HalfKept+path.Base(to))
	w, err := s.client.Create(ctx, temp, hdfs.CreateOptions{Overwrite: true, Parents: true, Mode: 0o600})
	if err != nil {
		return tell(err)
	}
	_, err = io.Copy(struct{ io.Writer }{w}, r)
	if err == nil {
		err = w.Sync()
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return errors.Join(tell(err), w.Abort())
	}
	return tell(s.client.Replace(ctx, temp, to))
}

// Kept reads an object.
func (s *Store) Kept(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := safe(name); err != nil {
		return nil, err
	}
	r, err := s.client.Open(ctx, s.place(keptDir, name))
	if err != nil {
		return nil, tell(err)
	}
	return r, nil
}

// KeptNames lists the objects. Only the directory that the prefix names is walked.
func (s *Store) KeptNames(ctx context.Context, prefix string) ([]string, error) {
	root := s.place(keptDir)
	from := root
	if i := strings.LastIndexByte(prefix, '/'); i > 0 {
		from = path.Join(root, prefix[:i])
	}
	var names []string
	err := s.client.Walk(ctx, from, hdfs.ListOptions{Vanishing: true}, func(info *hdfs.FileInfo) error {
		name := strings.TrimPrefix(info.Path, root+"/")
		if !info.IsDir() && strings.HasPrefix(name, prefix) && !strings.HasPrefix(info.Name, filecopy.HalfKept) {
			names = append(names, name)
		}
		return nil
	})
	slices.Sort(names)
	return names, absentIsFine(err)
}

// Forget removes an object, and the directories that are empty without it: each set has its own, and whoever lists what
// is kept would have to ask for each of them for ever.
func (s *Store) Forget(ctx context.Context, name string) error {
	if err := safe(name); err != nil {
		return err
	}
	root := s.place(keptDir)
	for at := s.place(keptDir, name); at != root; at = path.Dir(at) {
		err := absentIsFine(s.client.Delete(ctx, at, false))
		if errors.Is(err, hdfs.ErrNotEmpty) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Sweep removes half objects of killed processes, and directories that hold nothing, those below them first. Who writes to one of them still finds that
// it has no lease any more.
func (s *Store) Sweep(ctx context.Context, name string) error {
	if err := safe(name); err != nil {
		return err
	}
	root := s.place(keptDir)
	var dirs []string
	used := map[string]bool{}
	err := s.client.Walk(ctx, path.Join(root, name), hdfs.ListOptions{Vanishing: true}, func(info *hdfs.FileInfo) error {
		if info.IsDir() {
			dirs = append(dirs, info.Path)
			return nil
		}
		if filecopy.Left(info.Name, info.ModTime) {
			return absentIsFine(s.client.Delete(ctx, info.Path, false))
		}
		for at := path.Dir(info.Path); at != root && !used[at]; at = path.Dir(at) {
			used[at] = true
		}
		return nil
	})
	if err != nil {
		return absentIsFine(err)
	}
	slices.Sort(dirs)
	for _, at := range slices.Backward(dirs) {
		if used[at] {
			continue
		}
		if err := absentIsFine(s.client.Delete(ctx, at, false)); err != nil && !errors.Is(err, hdfs.ErrNotEmpty) {
			return err
		}
	}
	return nil
}
