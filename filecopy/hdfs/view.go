package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

const (
	// dressBatch is how many listed entries wait for their lists and attributes, dressParallel how many are asked for at once.
	dressBatch    = 512
	dressParallel = 64
)

// view is the tree at a snapshot, or live.
type view struct {
	store  *Store
	base   string
	pinned bool
	ahead  *locations
}

// Close releases nothing.
func (v *view) Close() error { return nil }

func (v *view) at(p filecopy.Path) string {
	if p == "" {
		return v.base
	}
	return v.base + "/" + string(p)
}

// Stat gives one entry.
func (v *view) Stat(ctx context.Context, p filecopy.Path) (filecopy.Entry, error) {
	info, err := v.store.client.Stat(ctx, v.at(p))
	if errors.Is(err, hdfs.ErrNotDirectory) {
		// A file stands above: the entry is not there.
		return filecopy.Entry{}, fmt.Errorf("%w: %w", filecopy.ErrNotFound, err)
	}
	if err != nil {
		return filecopy.Entry{}, tell(err)
	}
	e, err := v.entry(ctx, p, info)
	if err == nil {
		err = v.dress(ctx, &e, info.HasACL)
	}
	return e, err
}

// List walks the tree below a directory.
func (v *view) List(ctx context.Context, dir filecopy.Path, found func(filecopy.Entry) error) error {
	root := v.at(dir)
	b := &batch{view: v, found: found}
	err := v.store.client.Walk(ctx, root, hdfs.ListOptions{Vanishing: !v.pinned}, func(info *hdfs.FileInfo) error {
		if info.Path == root {
			return nil
		}
		e, err := v.entry(ctx, filecopy.Path(strings.TrimPrefix(info.Path, v.base+"/")), info)
		if err != nil {
			return err
		}
		return b.add(ctx, e, info.HasACL)
	})
	if err == nil {
		err = b.flush(ctx)
	}
	return tell(err)
}

// batch collects listed entries, so that what takes a call for each is asked for side by side.
type batch struct {
	view  *view
	found func(filecopy.Entry) error
	list  []filecopy.Entry
	acl   []bool
}

func (b *batch) add(ctx context.Context, e filecopy.Entry, acl bool) error {
	b.list, b.acl = append(b.list, e), append(b.acl, acl)
	if len(b.list) < dressBatch {
		return nil
	}
	return b.flush(ctx)
}

func (b *batch) flush(ctx context.Context) error {
	gone := make([]bool, len(b.list))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(dressParallel)
	for i := range b.list {
		g.Go(func() error {
			err := b.view.dress(gctx, &b.list[i], b.acl[i])
			if errors.Is(err, filecopy.ErrNotFound) && !b.view.pinned {
				gone[i] = true
				return nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, e := range b.list {
		if gone[i] {
			continue
		}
		if err := b.found(e); err != nil {
			return err
		}
	}
	b.list, b.acl = b.list[:0], b.acl[:0]
	return nil
}

// entry is what a listing tells. The time of the root is left out: every snapshot changes it.
func (v *view) entry(ctx context.Context, p filecopy.Path, info *hdfs.FileInfo) (filecopy.Entry, error) {
	e := filecopy.Entry{Path: p, Kind: filecopy.File, Size: info.Length}
	e.Owner, e.Group, e.Mode = info.Owner, info.Group, uint32(info.Mode)
	if p != "" {
		e.Modified = info.ModTime.UnixMilli()
	}
	if info.Encrypted {
		return e, unfit(v.at(p), inZone)
	}
	var err error
	if e.StoragePolicy, err = v.store.policy(ctx, info.StoragePolicy); err != nil {
		return e, err
	}
	switch info.Type {
	case hdfs.TypeDirectory:
		e.Kind, e.Size = filecopy.Directory, 0
	case hdfs.TypeSymlink:
		e.Kind, e.Size, e.Link = filecopy.Symlink, 0, info.Symlink
	case hdfs.TypeFile:
		e.Version = version(info.ID, e.Modified, info.Length)
		e.Accessed = info.AccessTime.UnixMilli()
		e.Replication, e.BlockSize = uint16(info.Replication), info.BlockSize
		if info.ErasureCoding != nil {
			// A coded file has no replication of its own; the copy gets the target's default.
			e.Replication, e.BlockSize = 0, 0
		}
	}
	return e, nil
}

// version tells one content of a file from another: bytes change only by appending or truncating, which changes time and length, or
// by another inode.
func version(id uint64, modified, length int64) string {
	return fmt.Sprintf("%d:%d:%d", id, modified, length)
}

// dress adds the lists that take a call of their own.
func (v *view) dress(ctx context.Context, e *filecopy.Entry, acl bool) error {
	if acl {
		list, err := v.store.client.GetACL(ctx, v.at(e.Path))
		if err != nil {
			return tell(err)
		}
		for _, a := range list.Entries {
			e.ACL = append(e.ACL, a.String())
		}
		slices.Sort(e.ACL)
	}
	if !v.store.fields.Has(filecopy.FieldXattrs) || e.Kind == filecopy.Symlink {
		return nil
	}
	list, err := v.store.client.GetXAttrs(ctx, v.at(e.Path))
	if err != nil {
		return tell(err)
	}
	for _, x := range list {
		if ours(x.Name) {
			e.Xattrs = append(e.Xattrs, filecopy.Xattr{Name: x.Name, Value: x.Value})
		}
	}
	slices.SortFunc(e.Xattrs, func(a, b filecopy.Xattr) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// ours says which namespaces of extended attributes are copied; the others belong to the server.
func ours(name string) bool {
	return strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "trusted.")
}

// Read reads a file. Packets are checked against the DataNodes' checksums on the way.
func (v *view) Read(ctx context.Context, e filecopy.Entry, offset int64) (io.ReadCloser, error) {
	r := &reader{ctx: ctx, view: v, want: e, left: e.Size - offset}
	from, err := r.open()
	if err != nil {
		return nil, err
	}
	if from.Size() < e.Size {
		return nil, errors.Join(fmt.Errorf("%w: %q is shorter than listed", filecopy.ErrChanged, string(e.Path)), from.Close())
	}
	r.from = from
	if offset > 0 {
		if _, err := from.Seek(offset, io.SeekStart); err != nil {
			return nil, errors.Join(tell(err), from.Close())
		}
	}
	return r, nil
}

// reader reads one version of a file: as many bytes as were listed, and then a look whether it is still the same.
type reader struct {
	ctx  context.Context
	view *view
	want filecopy.Entry
	from *hdfs.FileReader
	left int64
}

var _ filecopy.Piecewise = &reader{}

// open begins to read, at the blocks that a listing told of where there is one.
func (r *reader) open() (*hdfs.FileReader, error) {
	v := r.view
	info := v.ahead.find(r.ctx, v.at(r.want.Path))
	if info != nil && version(info.ID, info.ModTime.UnixMilli(), info.Length) == r.want.Version {
		from, err := v.store.client.OpenInfo(r.ctx, info)
		return from, tell(err)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	from, err := v.store.client.Open(r.ctx, v.at(r.want.Path))
	return from, tell(err)
}

// check compares the version; a snapshot never changes.
func (r *reader) check() error {
	if r.view.pinned {
		return nil
	}
	info, err := r.view.store.client.Stat(r.ctx, r.view.at(r.want.Path))
	if err != nil {
		return tell(err)
	}
	if version(info.ID, info.ModTime.UnixMilli(), info.Length) != r.want.Version {
		return fmt.Errorf("%w: %q", filecopy.ErrChanged, string(r.want.Path))
	}
	return nil
}

// Read gives ErrChanged in place of the end when the file is another one by then.
func (r *reader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, r.end()
	}
	n, err := r.from.Read(p[:min(int64(len(p)), r.left)])
	return n, r.passed(n, err)
}

// Piece gives the next packet as the DataNode sent it.
func (r *reader) Piece(most int64) (filecopy.Piece, error) {
	if r.left <= 0 {
		return nil, r.end()
	}
	p, err := r.from.NextWithin(min(most, r.left))
	if err != nil {
		return nil, r.passed(0, err)
	}
	return p, r.passed(len(p.Data()), nil)
}

// end gives io.EOF after a look whether the file is still the same.
func (r *reader) end() error {
	err := r.check()
	if errors.Is(err, filecopy.ErrNotFound) {
		err = fmt.Errorf("%w: %w", filecopy.ErrChanged, err)
	}
	if err != nil {
		return err
	}
	return io.EOF
}

// passed counts what was read. The end is that of the listed bytes, and not the one of the file.
func (r *reader) passed(n int, err error) error {
	r.left -= int64(n)
	if errors.Is(err, io.EOF) {
		if err = nil; r.left > 0 {
			err = fmt.Errorf("%w: %q ended early", filecopy.ErrChanged, string(r.want.Path))
		}
	}
	return tell(err)
}

// Close ends the reading, and tells the NameNode of replicas that were found rotten on the way.
func (r *reader) Close() error {
	_, err := closeAndReport(r.ctx, r.view.store.client, r.from)
	return err
}

// Sum asks the DataNodes for the COMPOSITE_CRC.
func (v *view) Sum(ctx context.Context, e filecopy.Entry) (filecopy.Checksum, error) {
	if err := (&reader{ctx: ctx, view: v, want: e}).check(); err != nil {
		return filecopy.Checksum{}, err
	}
	sum, err := v.store.client.Checksum(ctx, v.at(e.Path))
	if errors.Is(err, hdfs.ErrUnsupported) {
		return filecopy.Checksum{}, fmt.Errorf("%w: %w", filecopy.ErrUnsupported, err)
	}
	if err != nil {
		return filecopy.Checksum{}, tell(err)
	}
	if sum.Length != e.Size {
		return filecopy.Checksum{}, fmt.Errorf("%w: %q has %d bytes", filecopy.ErrChanged, string(e.Path), sum.Length)
	}
	return filecopy.SumOf(sum.CRC32C), nil
}
