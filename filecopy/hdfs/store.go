package hdfs

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// Config says which tree a store is.
type Config struct {
	// Client speaks to the namespace; the store does not close it.
	Client *hdfs.Client
	// Namespace names the cluster for good, such as its cluster id; the identity of the root begins with it.
	Namespace string
	// Root is the absolute path of the tree.
	Root string
	// Area is where the mover's own files go; empty for a hidden directory beside the root. It must not lie below a snapshottable
	// directory, nor below the root.
	Area string
	// Snapshots says that the root is snapshottable and reads go to snapshots.
	Snapshots bool
	// Ordinary says that the client's user is no superuser: to whom it may give entries is tried beforehand.
	Ordinary bool
	// NoXattrs leaves extended attributes out, and spares a call for each entry that is listed: HDFS does not say in a
	// listing which entries have some.
	NoXattrs bool
	// PartSize is the size of the parts of large files; zero means 256 MiB. A multiple of the block size keeps blocks whole.
	PartSize int64
}

const (
	// defaultPart is what is copied again after a crash, at most, for each file in flight.
	defaultPart = 256 << 20
	// maxElement is dfs.namenode.fs-limits.max-component-length; maxPath and maxDepth are the longest and the deepest path of a NameNode
	// (HdfsServerConstants.MAX_PATH_LENGTH and MAX_PATH_DEPTH).
	maxElement = 255
	maxPath    = 8000
	maxDepth   = 1000
)

// Store is a tree in HDFS. It implements filecopy.Target and filecopy.Snapshotter.
type Store struct {
	client    *hdfs.Client
	namespace string
	root      string
	area      string
	snapshots bool
	part      int64
	fields    filecopy.Fields
	// ordinary says that giving has to be tried, and given remembers the answers.
	ordinary bool
	given    sync.Map
	// fresh remembers what is known of files that were just written, which spares two calls for each.
	fresh sync.Map
	// shelves remembers directories that were made for adopted files.
	shelves sync.Map

	once     sync.Once
	policies map[int]string
	failed   error
	// hidden says that the tree lies in the area itself.
	hidden bool
	// unbarred is when the area was last asked for and was no file.
	unbarred atomic.Pointer[time.Time]
}

var (
	_ filecopy.Target      = &Store{}
	_ filecopy.Snapshotter = &Store{}
	_ filecopy.Builder     = &Store{}
	_ filecopy.Giver       = &Store{}
	_ filecopy.Holder      = &Store{}
)

// New gives the store of a directory. It asks nothing.
func New(c Config) (*Store, error) {
	root := path.Clean(c.Root)
	if !path.IsAbs(root) || root == "/" {
		return nil, fmt.Errorf("the root of a tree in HDFS must be an absolute path below /, not %q", c.Root)
	}
	area := c.Area
	if area == "" {
		area = path.Join(path.Dir(root), "."+path.Base(root)+".understudy")
	}
	area = path.Clean(area)
	if !path.IsAbs(area) || area == root || strings.HasPrefix(area, root+"/") {
		return nil, fmt.Errorf("the mover's area must be an absolute path outside of the tree, not %q", c.Area)
	}
	s := &Store{client: c.Client, namespace: c.Namespace, root: root, area: area, snapshots: c.Snapshots, part: c.PartSize, ordinary: c.Ordinary}
	if s.part <= 0 {
		s.part = defaultPart
	}
	s.fields = filecopy.AllFields
	if c.NoXattrs {
		s.fields &^= filecopy.FieldXattrs
	}
	return s, nil
}

// Describe says what HDFS can do. Symlinks are kept in the manifest: servers refuse to make any.
func (s *Store) Describe() filecopy.Description {
	return filecopy.Description{Kind: "hdfs", Name: s.namespace + s.root, Capabilities: filecopy.Capabilities{
		Snapshots:   s.snapshots,
		Diff:        s.snapshots,
		DiffMisses:  filecopy.FieldModified | filecopy.FieldAccessed,
		RenameOver:  true,
		Directories: true,
		Attributes:  s.fields,
		ServerSum:   true,
		Proof:       filecopy.ProofServer,
		PartSize:    func(size int64) int64 { return min(max(size, 1), s.part) },
	}}
}

// CheckName refuses what a NameNode would refuse (DFSUtil.isValidName), and its reserved names.
func (s *Store) CheckName(p filecopy.Path) error {
	if err := p.Check(); err != nil {
		return errors.Join(filecopy.ErrName, err)
	}
	if !utf8.ValidString(string(p)) {
		return fmt.Errorf("%w: %q is not UTF-8", filecopy.ErrName, string(p))
	}
	if len(s.root)+1+len(p) > maxPath {
		return fmt.Errorf("%w: %q is longer than %d bytes", filecopy.ErrName, string(p), maxPath)
	}
	if strings.Count(s.at(p), "/") > maxDepth {
		return fmt.Errorf("%w: %q is deeper than %d levels", filecopy.ErrName, string(p), maxDepth)
	}
	for element := range strings.SplitSeq(string(p), "/") {
		if strings.Contains(element, ":") || element == ".snapshot" || len(element) > maxElement {
			return fmt.Errorf("%w: %q holds an element that HDFS does not allow", filecopy.ErrName, string(p))
		}
	}
	return nil
}

// at gives the full path of an entry.
func (s *Store) at(p filecopy.Path) string {
	if p == "" {
		return s.root
	}
	return s.root + "/" + string(p)
}

// Probe looks at the root. Its identity is the namespace with the number of the inode.
func (s *Store) Probe(ctx context.Context) (filecopy.Root, error) {
	info, err := s.client.Stat(ctx, s.root)
	if err != nil {
		return filecopy.Root{}, tell(err)
	}
	if !info.IsDir() {
		return filecopy.Root{}, fmt.Errorf("%w: %s is no directory", filecopy.ErrNotFound, s.root)
	}
	if info.Encrypted {
		return filecopy.Root{}, unfit(s.root, inZone)
	}
	free := int64(-1)
	if stats, err := s.client.FsStats(ctx); err == nil {
		// The disks' room is that of all replicas.
		free = stats.Remaining / int64(max(1, s.client.Defaults().Replication))
	}
	// The NameNode tells its clock by the time of a snapshot only; without snapshots ours has to do.
	return filecopy.Root{Identity: fmt.Sprintf("%s#%d", s.namespace, info.ID), Now: time.Now(), Free: free}, nil
}

// Open gives the tree at a snapshot, or the live one. A root in an encryption zone is refused: it may be a zone of its own, into which nothing
// could be renamed that was staged beside it.
func (s *Store) Open(ctx context.Context, at filecopy.Pin) (filecopy.View, error) {
	if at.Name == "" {
		info, err := s.client.Stat(ctx, s.root)
		if err == nil && info.Encrypted {
			return nil, unfit(s.root, inZone)
		}
		if err != nil && !hdfs.IsNotFound(err) {
			return nil, tell(err)
		}
		return &view{store: s, base: s.root, ahead: newLocations(s.client.List)}, nil
	}
	now, err := s.pin(ctx, at.Name)
	if err != nil {
		return nil, err
	}
	if now.Identity != at.Identity {
		return nil, fmt.Errorf("%w: snapshot %s of %s is another one", filecopy.ErrPinLost, at.Name, s.root)
	}
	return &view{store: s, base: s.snapshotPath(at.Name), pinned: true, ahead: newLocations(s.client.List)}, nil
}

func (s *Store) snapshotPath(name string) string { return s.root + "/.snapshot/" + name }

// pin describes a snapshot. Its own copy of the root carries the time at which it was made, by the NameNode's clock.
func (s *Store) pin(ctx context.Context, name string) (filecopy.Pin, error) {
	info, err := s.client.Stat(ctx, s.snapshotPath(name))
	if hdfs.IsNotFound(err) {
		return filecopy.Pin{}, fmt.Errorf("%w: snapshot %s of %s", filecopy.ErrPinLost, name, s.root)
	}
	if err != nil {
		return filecopy.Pin{}, tell(err)
	}
	made := info.ModTime
	return filecopy.Pin{Name: name, Identity: fmt.Sprintf("%d@%d", info.ID, made.UnixMilli()), Time: made.UTC()}, nil
}

// Pin takes a snapshot.
func (s *Store) Pin(ctx context.Context, name string) (filecopy.Pin, error) {
	p, err := s.pin(ctx, name)
	if !errors.Is(err, filecopy.ErrPinLost) {
		return p, err
	}
	if _, err := s.client.CreateSnapshot(ctx, s.root, name); err != nil {
		return filecopy.Pin{}, tell(err)
	}
	return s.pin(ctx, name)
}

// Unpin removes a snapshot.
func (s *Store) Unpin(ctx context.Context, p filecopy.Pin) error {
	now, err := s.pin(ctx, p.Name)
	if errors.Is(err, filecopy.ErrPinLost) {
		return nil
	}
	if err == nil && p.Identity != "" && now.Identity != p.Identity {
		return nil
	}
	if err == nil {
		err = tell(s.client.DeleteSnapshot(ctx, s.root, p.Name))
	}
	return err
}

// Pins lists the snapshots.
func (s *Store) Pins(ctx context.Context) ([]filecopy.Pin, error) {
	var all []filecopy.Pin
	for info, err := range s.client.Entries(ctx, s.root+"/.snapshot", hdfs.ListOptions{}) {
		if err != nil {
			return nil, tell(err)
		}
		p, err := s.pin(ctx, info.Name)
		if errors.Is(err, filecopy.ErrPinLost) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// Diff gives the changes between two snapshots. A snapshot that is another one than it was gives ErrPinLost.
func (s *Store) Diff(ctx context.Context, from, to filecopy.Pin, found func(filecopy.Change) error) error {
	for _, p := range []filecopy.Pin{from, to} {
		if p.Name == "" {
			continue
		}
		now, err := s.pin(ctx, p.Name)
		if err != nil {
			return err
		}
		if now.Identity != p.Identity {
			return fmt.Errorf("%w: snapshot %s of %s is another one", filecopy.ErrPinLost, p.Name, s.root)
		}
	}
	for d, err := range s.client.SnapshotDiff(ctx, s.root, from.Name, to.Name) {
		if err != nil {
			return tell(err)
		}
		if err := found(change(d)); err != nil {
			return err
		}
	}
	return nil
}

// Building lists the files that are open for writing. Who is no superuser has to ask for the blocks of every file.
func (s *Store) Building(ctx context.Context, found func(filecopy.Path) error) error {
	for f, err := range s.client.OpenFiles(ctx, s.root) {
		if hdfs.IsPermission(err) || errors.Is(err, hdfs.ErrUnsupported) {
			return s.walkBuilding(ctx, found)
		}
		if err != nil {
			return tell(err)
		}
		if err := found(filecopy.Path(strings.TrimPrefix(f.Path, s.root+"/"))); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) walkBuilding(ctx context.Context, found func(filecopy.Path) error) error {
	return tell(s.client.Walk(ctx, s.root, hdfs.ListOptions{Locations: true}, func(f *hdfs.FileInfo) error {
		if f.Blocks == nil || !f.Blocks.UnderConstruction {
			return nil
		}
		return found(filecopy.Path(strings.TrimPrefix(f.Path, s.root+"/")))
	}))
}

func change(d hdfs.DiffEntry) filecopy.Change {
	c := filecopy.Change{Path: filecopy.Path(d.Path)}
	switch d.Kind {
	case hdfs.DiffCreated:
		c.Kind = filecopy.Created
	case hdfs.DiffDeleted:
		c.Kind = filecopy.Deleted
	case hdfs.DiffModified:
		c.Kind = filecopy.Modified
	case hdfs.DiffRenamed:
		c.Kind, c.To = filecopy.Renamed, filecopy.Path(d.Target)
	}
	return c
}

// policy gives the name of a storage policy; the server's list is asked for once.
func (s *Store) policy(ctx context.Context, id int) (string, error) {
	if id == 0 {
		return "", nil
	}
	s.once.Do(func() {
		list, err := s.client.StoragePolicies(ctx)
		s.failed, s.policies = err, map[int]string{}
		for _, p := range list {
			s.policies[p.ID] = p.Name
		}
	})
	if s.failed != nil {
		return "", tell(s.failed)
	}
	return s.policies[id], nil
}

// tell gives an error the meaning that it has in the contract, and a code where people have to do something that only HDFS knows of.
func tell(err error) error {
	if coded := peculiar(err); coded != nil {
		return coded
	}
	if bound := full(err); bound != nil {
		return &told{bound, err}
	}
	for _, m := range []struct{ of, means error }{
		{hdfs.ErrNotFound, filecopy.ErrNotFound},
		{hdfs.ErrChecksum, filecopy.ErrCorrupt},
		{hdfs.ErrRetriable, filecopy.ErrBusy},
		{hdfs.ErrQuota, filecopy.ErrFull},
		{hdfs.ErrNoSpace, filecopy.ErrFull},
		{hdfs.ErrUnderConstruction, filecopy.ErrChanged},
		{hdfs.ErrExists, filecopy.ErrChanged},
		{hdfs.ErrNotEmpty, filecopy.ErrChanged},
		{hdfs.ErrNotDirectory, filecopy.ErrChanged},
	} {
		if errors.Is(err, m.of) {
			return &told{m.means, err}
		}
	}
	return err
}

// peculiar gives errors that only HDFS has their code; nil for all others, and for those that have one.
func peculiar(err error) error {
	var coded *understudy.Error
	if err == nil || errors.As(err, &coded) {
		return nil
	}
	var by *hdfs.RemoteError
	at := "the tree"
	if errors.As(err, &by) && by.Path != "" {
		at = by.Path
	}
	switch {
	case errors.Is(err, hdfs.ErrEncrypted):
		e := unfit(at, inZone)
		e.Err = err
		return e
	case heldAt(by) != "":
		return held(heldAt(by), err)
	case errors.Is(err, hdfs.ErrSafeMode) && !errors.Is(err, hdfs.ErrRetriable):
		return &understudy.Error{
			Code: "US742", Kind: understudy.KindRetry, Op: "filecopy.hdfs", Summary: fmt.Sprintf("the NameNode is in safe mode, and changes nothing at %q", at), Err: err,
			Fix: "where it says that its resources are low, make room where it keeps its edits; then `hdfs dfsadmin -safemode leave`, and retry: what is staged is not copied again",
		}
	}
	return nil
}

// full names the bound of a NameNode that is used up, and what raises it; nil for other errors, and where the disks are full.
func full(err error) error {
	var by *hdfs.RemoteError
	if !errors.As(err, &by) {
		return nil
	}
	switch by.Exception() {
	case "MaxDirectoryItemsExceededException":
		return &filecopy.Full{
			Bound: "a directory holds as many entries as it may",
			Fix:   "raise `dfs.namenode.fs-limits.max-directory-items` (6400000 at most) at the NameNodes of the target to what the source has, and restart them",
		}
	case "NSQuotaExceededException":
		return &filecopy.Full{
			Bound: "a quota of names is used up",
			Fix:   "raise it by `hdfs dfsadmin -setQuota NAMES DIRECTORY` for the directory that the message names, or remove files below it",
		}
	case "DSQuotaExceededException":
		return &filecopy.Full{
			Bound: "a quota of space is used up",
			Fix:   "raise it by `hdfs dfsadmin -setSpaceQuota BYTES DIRECTORY` for the directory that the message names, where each replica counts, or remove files below it",
		}
	case "QuotaByStorageTypeExceededException":
		return &filecopy.Full{
			Bound: "a quota of space on one type of storage is used up",
			Fix:   "raise it by `hdfs dfsadmin -setSpaceQuota BYTES -storageType TYPE DIRECTORY` for the type and the directory that the message names, or remove files below it",
		}
	}
	return nil
}

// told is an error of the client with its meaning.
type told struct{ means, err error }

func (t *told) Error() string   { return t.err.Error() }
func (t *told) Unwrap() []error { return []error{t.means, t.err} }
