package hdfs

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// AllowSnapshots makes a folder snapshottable. Only for superusers.
func (c *Client) AllowSnapshots(ctx context.Context, dir string) error {
	return c.do(ctx, "allowSnapshot", dir, proto.Message(nil).String(1, dir))
}

// DisallowSnapshots undoes AllowSnapshots; refused while there are snapshots (ErrSnapshot). Only for superusers.
func (c *Client) DisallowSnapshots(ctx context.Context, dir string) error {
	return c.do(ctx, "disallowSnapshot", dir, proto.Message(nil).String(1, dir))
}

// CreateSnapshot takes a snapshot and gives its path, dir/.snapshot/name. A name that is taken is ErrSnapshot.
func (c *Client) CreateSnapshot(ctx context.Context, dir, name string) (string, error) {
	return ask(ctx, c, "createSnapshot", dir, proto.Message(nil).String(1, dir).String(2, name), readString)
}

// RenameSnapshot gives a snapshot another name.
func (c *Client) RenameSnapshot(ctx context.Context, dir, from, to string) error {
	return c.do(ctx, "renameSnapshot", dir, proto.Message(nil).String(1, dir).String(2, from).String(3, to))
}

// DeleteSnapshot removes a snapshot.
func (c *Client) DeleteSnapshot(ctx context.Context, dir, name string) error {
	return c.do(ctx, "deleteSnapshot", dir, proto.Message(nil).String(1, dir).String(2, name))
}

// SnapshottableDir is a folder that may have snapshots.
type SnapshottableDir struct {
	Path string
	// Snapshots are there of at most Quota.
	Snapshots, Quota int
}

// SnapshottableDirs lists the snapshottable folders of the user; a superuser sees all.
func (c *Client) SnapshottableDirs(ctx context.Context) ([]SnapshottableDir, error) {
	list, err := ask(ctx, c, "getSnapshottableDirListing", "", nil, field(func(d *proto.Decoder) []SnapshottableDir {
		var list []SnapshottableDir
		for d.Next() {
			if d.Number() == 1 {
				list = append(list, proto.Sub(d, readSnapshottable))
			}
		}
		return list
	}))
	if err != nil || list == nil {
		return nil, err
	}
	return *list, nil
}

// readSnapshottable reads SnapshottableDirectoryStatusProto.
func readSnapshottable(d *proto.Decoder) SnapshottableDir {
	var s SnapshottableDir
	var parent, name string
	for d.Next() {
		switch d.Number() {
		case 1:
			name = proto.Sub(d, newPlaces().fileInfo).Name
		case 2:
			s.Quota = int(d.Uint())
		case 3:
			s.Snapshots = int(d.Uint())
		case 4:
			parent = d.String()
		}
	}
	s.Path = Join(parent, name)
	return s
}

// DiffKind says what happened to a path between two snapshots.
type DiffKind string

// The kinds of changes, by the letters of Hadoop's own report.
const (
	DiffCreated  DiffKind = "+"
	DiffDeleted  DiffKind = "-"
	DiffModified DiffKind = "M"
	DiffRenamed  DiffKind = "R"
)

// DiffEntry is one change between two snapshots. Paths are below the root, without a slash before them; the root itself is empty.
type DiffEntry struct {
	Kind DiffKind
	// Path is the path at the time of the earlier snapshot; of what was created, at the time of the later one.
	Path string
	// Target is where what was renamed lies in the later snapshot.
	Target string
	// ID is the number of the inode; 0 where the server does not say.
	ID uint64
}

// DiffCursor is where the next page of a diff begins. The zero value of DiffStart is the beginning.
type DiffCursor struct {
	Path  []byte
	Index int32
}

// DiffStart is the cursor of the first page.
func DiffStart() DiffCursor { return DiffCursor{Index: -1} }

// end says whether there is no further page. The server ends with both fields empty: an index of -1 alone only ends a folder.
func (c DiffCursor) end() bool { return len(c.Path) == 0 && c.Index == -1 }

// DiffPage is one page of a diff.
type DiffPage struct {
	Entries []DiffEntry
	// Arrivals were created by a rename. The other half of that rename may come on any page, or never when it came from outside of the root.
	Arrivals []DiffEntry
	Next     DiffCursor
	// Last says that there is no further page.
	Last bool
}

// SnapshotDiffPage gives one page of the changes between two snapshots of a folder. An empty to is the present.
// A change of nothing but times is in no diff: it is not recorded there by HDFS.
func (c *Client) SnapshotDiffPage(ctx context.Context, root, from, to string, at DiffCursor) (*DiffPage, error) {
	cursor := proto.Message(nil).Bytes(1, at.Path).Int(2, int64(at.Index))
	request := proto.Message(nil).String(1, root).String(2, from).String(3, to).Bytes(4, cursor)
	p, err := ask(ctx, c, "getSnapshotDiffReportListing", root, request, field(readDiff))
	if err != nil {
		return nil, err
	}
	if p == nil || !p.fromEarlier {
		return nil, &Error{Op: "getSnapshotDiffReportListing", Path: root, Err: fmt.Errorf("%w: snapshot %q is not earlier than %q", ErrSnapshot, from, to)}
	}
	p.page.Last = p.page.Next.end()
	if !p.page.Last && p.page.Next.Index == at.Index && bytes.Equal(p.page.Next.Path, at.Path) {
		return nil, &Error{Op: "getSnapshotDiffReportListing", Path: root, Err: fmt.Errorf("%w: the diff does not advance", ErrProtocol)}
	}
	return &p.page, nil
}

// SnapshotDiff gives all changes between two snapshots of a folder, as they come page by page. A rename is one entry.
// What arrived by a rename from outside of the root comes last, as created. It ends with the first error: a diff cut short is of no use.
func (c *Client) SnapshotDiff(ctx context.Context, root, from, to string) iter.Seq2[DiffEntry, error] {
	return func(yield func(DiffEntry, error) bool) {
		var arrivals []DiffEntry
		moved := map[uint64]bool{}
		for at := DiffStart(); ; {
			p, err := c.SnapshotDiffPage(ctx, root, from, to, at)
			if err != nil {
				yield(DiffEntry{}, err)
				return
			}
			for _, e := range p.Entries {
				if e.Kind == DiffRenamed {
					moved[e.ID] = true
				}
				if !yield(e, nil) {
					return
				}
			}
			arrivals = append(arrivals, p.Arrivals...)
			if at = p.Next; p.Last {
				break
			}
		}
		for _, e := range arrivals {
			if !moved[e.ID] && !yield(e, nil) {
				return
			}
		}
	}
}

// diffAnswer is a page and the direction it is in.
type diffAnswer struct {
	page        DiffPage
	fromEarlier bool
}

// readDiff reads SnapshotDiffReportListingProto.
func readDiff(d *proto.Decoder) diffAnswer {
	var a diffAnswer
	a.page.Next = DiffStart()
	for d.Next() {
		switch d.Number() {
		case 1:
			a.add(DiffModified, proto.Sub(d, readDiffEntry))
		case 2:
			a.add(DiffCreated, proto.Sub(d, readDiffEntry))
		case 3:
			a.add(DiffDeleted, proto.Sub(d, readDiffEntry))
		case 4:
			a.fromEarlier = d.Bool()
		case 5:
			a.page.Next = proto.Sub(d, readCursor)
		}
	}
	return a
}

// rawDiffEntry is an entry as it comes.
type rawDiffEntry struct {
	DiffEntry
	reference bool
}

// add files an entry under what it means: a deletion with a target is a rename, and a creation by reference is the other end of one.
func (a *diffAnswer) add(kind DiffKind, e rawDiffEntry) {
	e.Kind = kind
	if kind == DiffDeleted && e.Target != "" {
		e.Kind = DiffRenamed
	}
	if kind == DiffCreated && e.reference {
		a.page.Arrivals = append(a.page.Arrivals, e.DiffEntry)
		return
	}
	a.page.Entries = append(a.page.Entries, e.DiffEntry)
}

// readDiffEntry reads SnapshotDiffReportListingEntryProto.
func readDiffEntry(d *proto.Decoder) rawDiffEntry {
	var e rawDiffEntry
	for d.Next() {
		switch d.Number() {
		case 1:
			e.Path = d.String()
		case 3:
			e.reference = d.Bool()
		case 4:
			// Servers send it with every entry, and empty when there was no rename.
			e.Target = d.String()
		case 5:
			e.ID = d.Uint()
		}
	}
	return e
}

// readCursor reads SnapshotDiffReportCursorProto.
func readCursor(d *proto.Decoder) DiffCursor {
	c := DiffStart()
	for d.Next() {
		switch d.Number() {
		case 1:
			c.Path = d.Bytes()
		case 2:
			c.Index = int32(d.Int())
		}
	}
	return c
}
