package hdfs

import (
	"context"
	"errors"
	"iter"
	"path"
	"strings"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// Stat gives what the NameNode keeps of a path; of a symbolic link, of the link itself. ErrNotFound when there is none.
// Links are never followed: a path that leads through one is refused by the server, with UnresolvedPathException.
func (c *Client) Stat(ctx context.Context, name string) (*FileInfo, error) {
	request := proto.Message(nil).String(1, name)
	f, err := ask(ctx, c, "getFileInfo", name, request, field(newPlaces().fileInfo))
	var refused *RemoteError
	if errors.As(err, &refused) && refused.is("UnresolvedPathException") {
		f, err = ask(ctx, c, "getFileLinkInfo", name, request, field(newPlaces().fileInfo))
	}
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, missing("getFileInfo", name)
	}
	f.Path, f.Name = name, path.Base(name)
	return f, nil
}

// Locate gives where the data of a file lies from offset on, for length bytes; a negative length is all.
func (c *Client) Locate(ctx context.Context, name string, offset, length int64) (*Blocks, error) {
	if length < 0 {
		length = 1<<63 - 1 - offset
	}
	b, err := ask(ctx, c, "getBlockLocations", name,
		proto.Message(nil).String(1, name).Int(2, offset).Int(3, length), field(newPlaces().blocks))
	if err == nil && b == nil {
		err = missing("getBlockLocations", name)
	}
	return b, err
}

// ListOptions say which part of a folder to list, and how.
type ListOptions struct {
	// After is the name after which to begin; empty is the first.
	After string
	// Locations asks for the blocks of files too, which saves a call for each file that is to be read.
	Locations bool
	// Vanishing lets a walk go on when a folder is gone by the time that it is listed, as happens in a tree that changes.
	Vanishing bool
}

// Listing is one page of a folder, sorted by the bytes of the names.
type Listing struct {
	Entries []FileInfo
	// Remaining counts the entries after this page.
	Remaining int
}

// List gives one page of a folder, of at most dfs.ls.limit entries (1000 unless set otherwise). A file gives itself as the only entry.
func (c *Client) List(ctx context.Context, dir string, opts ListOptions) (*Listing, error) {
	request := proto.Message(nil).String(1, dir).String(2, opts.After).Bool(3, opts.Locations)
	l, err := ask(ctx, c, "getListing", dir, request, field(readListing))
	if err != nil {
		return nil, err
	}
	if l == nil {
		return nil, missing("getListing", dir)
	}
	for i := range l.Entries {
		e := &l.Entries[i]
		if e.Name == "" {
			// The path is no folder: the server gives it with an empty name.
			e.Path, e.Name = dir, path.Base(dir)
			continue
		}
		e.Path = Join(dir, e.Name)
	}
	return l, nil
}

// readListing reads DirectoryListingProto.
func readListing(d *proto.Decoder) Listing {
	var l Listing
	p := newPlaces()
	for d.Next() {
		switch d.Number() {
		case 1:
			l.Entries = append(l.Entries, proto.Sub(d, p.fileInfo))
		case 2:
			l.Remaining = int(d.Uint())
		}
	}
	return l
}

// Join puts a name below a folder. Unlike path.Join it leaves the name as it is.
func Join(dir, name string) string {
	return strings.TrimSuffix(dir, "/") + "/" + name
}

// Entries gives all entries of a folder, page by page, sorted by the bytes of the names. It ends with the first error.
// A folder that changes meanwhile is seen in parts before and in parts after; a snapshot is not.
func (c *Client) Entries(ctx context.Context, dir string, opts ListOptions) iter.Seq2[FileInfo, error] {
	return func(yield func(FileInfo, error) bool) {
		for {
			page, err := c.List(ctx, dir, opts)
			if err != nil {
				yield(FileInfo{}, err)
				return
			}
			for _, e := range page.Entries {
				if !yield(e, nil) {
					return
				}
				opts.After = e.Name
			}
			if page.Remaining == 0 || len(page.Entries) == 0 {
				return
			}
		}
	}
}

// Mkdirs makes a folder and those above it that are missing, with the nine bits and the sticky bit of mode for each. It is content with what is there.
func (c *Client) Mkdirs(ctx context.Context, dir string, mode uint16) error {
	perm := encodeMode(mode)
	return c.sure(ctx, "mkdirs", dir, proto.Message(nil).String(1, dir).Bytes(2, perm).Bool(3, true).Bytes(4, perm))
}

// Mkdir makes one folder; ErrNotFound when the one above is missing.
func (c *Client) Mkdir(ctx context.Context, dir string, mode uint16) error {
	perm := encodeMode(mode)
	return c.sure(ctx, "mkdirs", dir, proto.Message(nil).String(1, dir).Bytes(2, perm).Bool(3, false).Bytes(4, perm))
}

// encodeMode gives FsPermissionProto. The server takes modes as they are: no umask is applied.
func encodeMode(mode uint16) proto.Message { return proto.Message(nil).Uint(1, uint64(mode)) }

// sure makes a call whose answer false is a failure.
func (c *Client) sure(ctx context.Context, method, name string, request proto.Message) error {
	ok, err := ask(ctx, c, method, name, request, readBool)
	if err == nil && !ok {
		err = &Error{Op: method, Path: name, Err: errRefused}
	}
	return err
}

// errRefused is a plain "no".
var errRefused = errors.New("the NameNode answered no")

// Rename moves a file or folder to a path that is free; ErrExists otherwise.
func (c *Client) Rename(ctx context.Context, from, to string) error {
	return c.do(ctx, "rename2", from, proto.Message(nil).String(1, from).String(2, to).Bool(3, false))
}

// Replace moves a file or folder to a path and replaces what is there in the same transaction: a reader sees the old or the new, never none.
// A folder is replaced only when it is empty (ErrNotEmpty), and only by a folder.
func (c *Client) Replace(ctx context.Context, from, to string) error {
	return c.do(ctx, "rename2", from, proto.Message(nil).String(1, from).String(2, to).Bool(3, true))
}

// Delete removes a file, or a folder with all below it when recursive. What is not there is ErrNotFound; a folder that is not empty is ErrNotEmpty.
// Folders that are snapshottable or hold snapshots are refused.
func (c *Client) Delete(ctx context.Context, name string, recursive bool) error {
	ok, err := ask(ctx, c, "delete", name, proto.Message(nil).String(1, name).Bool(2, recursive), readBool)
	if err == nil && !ok {
		err = missing("delete", name)
	}
	return err
}

// Concat appends the blocks of files to target and removes the files, in one transaction and without moving data.
// All lie in one folder; target must exist and must not be empty on servers before 2.8.
func (c *Client) Concat(ctx context.Context, target string, sources []string) error {
	return c.do(ctx, "concat", target, proto.Message(nil).String(1, target).Strings(2, sources))
}

// Truncate shortens a file. When the new end lies within a block, done is false and the last block is being recovered:
// the file has its new length at once, and can be appended to when Closed says so.
func (c *Client) Truncate(ctx context.Context, name string, length int64) (done bool, err error) {
	return ask(ctx, c, "truncate", name, proto.Message(nil).String(1, name).Int(2, length).String(3, c.name), readBool)
}

// Closed says whether nobody is writing a file and all its blocks are complete.
func (c *Client) Closed(ctx context.Context, name string) (bool, error) {
	return ask(ctx, c, "isFileClosed", name, proto.Message(nil).String(1, name), readBool)
}

// Symlink makes a symbolic link. Servers refuse it unless they were built to allow links (ErrUnsupported).
func (c *Client) Symlink(ctx context.Context, target, link string) error {
	return c.do(ctx, "createSymlink", link,
		proto.Message(nil).String(1, target).String(2, link).Bytes(3, encodeMode(0o755)).Bool(4, false))
}

// ContentSummary adds up what lies below a path, snapshots included as the server counts them.
type ContentSummary struct {
	// Length is in bytes without replication, SpaceConsumed with it.
	Length, SpaceConsumed int64
	Files, Directories    int64
	// Quota is the most names, SpaceQuota the most bytes with replication; -1 is none.
	Quota, SpaceQuota int64
}

// ContentSummary walks the tree at the server: it is dear on large ones.
func (c *Client) ContentSummary(ctx context.Context, name string) (*ContentSummary, error) {
	s, err := ask(ctx, c, "getContentSummary", name, proto.Message(nil).String(1, name), field(readSummary))
	if err == nil && s == nil {
		err = missing("getContentSummary", name)
	}
	return s, err
}

// readSummary reads ContentSummaryProto.
func readSummary(d *proto.Decoder) ContentSummary {
	var s ContentSummary
	for d.Next() {
		switch d.Number() {
		case 1:
			s.Length = d.Int()
		case 2:
			s.Files = d.Int()
		case 3:
			s.Directories = d.Int()
		case 4:
			s.Quota = d.Int()
		case 5:
			s.SpaceConsumed = d.Int()
		case 6:
			s.SpaceQuota = d.Int()
		}
	}
	return s
}
