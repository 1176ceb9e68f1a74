package hdfs

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The types of a path.
const (
	Dir     = "dir"
	Regular = "file"
	Link    = "link"
)

// Entry is a path as Hadoop's own client sees it.
type Entry struct {
	Path string `json:"path"`
	// Type is Dir, Regular or Link; Target where a Link leads.
	Type   string `json:"type"`
	Target string `json:"target"`
	Owner  string `json:"owner"`
	Group  string `json:"group"`
	// Mode are the permission bits with the sticky bit.
	Mode int `json:"mode"`
	// MTime and ATime are in milliseconds since 1970.
	MTime int64 `json:"mtime"`
	ATime int64 `json:"atime"`
	// ACL are the entries beyond the mode, in Hadoop's words; empty without any.
	ACL    string            `json:"acl"`
	XAttrs map[string][]byte `json:"xattrs"`
	// Policy is the number of the storage policy; 0 when none is set here.
	Policy int `json:"policy"`
	// Erasure is the name of the erasure coding policy; empty without one.
	Erasure string `json:"erasure"`
	// Length and BlockSize are in bytes; these and what follows are a file's.
	Length      int64 `json:"length"`
	Replication int   `json:"replication"`
	BlockSize   int64 `json:"blockSize"`
	// CRC is the CRC32C of the whole file, which HDFS calls COMPOSITE_CRC; 0 when empty or not asked for.
	CRC uint32 `json:"crc"`
}

// Tree is everything below a path, itself included, sorted by path.
type Tree struct {
	Root    string
	Entries []Entry
}

// Dump reads a path and all below it with all attributes, and the checksum of every file from its DataNodes.
func (c *Client) Dump(ctx context.Context, a Access, path string) (Tree, error) {
	return c.dump(ctx, a, request{"path": path, "checksums": true})
}

// List reads the same without checksums: no DataNode is asked.
func (c *Client) List(ctx context.Context, a Access, path string) (Tree, error) {
	return c.dump(ctx, a, request{"path": path})
}

func (c *Client) dump(ctx context.Context, a Access, r request) (Tree, error) {
	t := Tree{Root: r["path"].(string)}
	err := c.call(ctx, a, "dump", r, func(r reply) {
		if r.Entry != nil {
			t.Entries = append(t.Entries, *r.Entry)
		}
	})
	if err != nil {
		return Tree{}, err
	}
	slices.SortFunc(t.Entries, func(x, y Entry) int { return cmp.Compare(x.Path, y.Path) })
	return t, nil
}

// Paths are the paths of the entries.
func (t Tree) Paths() []string {
	all := make([]string, len(t.Entries))
	for i, e := range t.Entries {
		all[i] = e.Path
	}
	return all
}

// Find returns the entry of a path.
func (t Tree) Find(path string) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(t.Entries, path, func(e Entry, p string) int { return cmp.Compare(e.Path, p) })
	if !ok {
		return Entry{}, false
	}
	return t.Entries[i], true
}

// String shows an entry on one line.
func (e Entry) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %04o %s:%s mtime %s atime %s", e.Path, e.Type, e.Mode, e.Owner, e.Group, stamp(e.MTime), stamp(e.ATime))
	if e.Type == Regular {
		fmt.Fprintf(&b, " length %d crc %08x replication %d block %d", e.Length, e.CRC, e.Replication, e.BlockSize)
	}
	if e.Target != "" {
		fmt.Fprintf(&b, " target %q", e.Target)
	}
	if e.Policy != 0 {
		fmt.Fprintf(&b, " policy %d", e.Policy)
	}
	if e.Erasure != "" {
		fmt.Fprintf(&b, " erasure %s", e.Erasure)
	}
	if e.ACL != "" {
		fmt.Fprintf(&b, " acl %s", e.ACL)
	}
	for _, name := range slices.Sorted(maps.Keys(e.XAttrs)) {
		fmt.Fprintf(&b, " %s=%x", name, e.XAttrs[name])
	}
	return b.String()
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// Equal says whether both are the same in every respect but the access time, which reading changes.
func (e Entry) Equal(o Entry) bool {
	if !maps.EqualFunc(e.XAttrs, o.XAttrs, bytes.Equal) {
		return false
	}
	e.ATime, o.ATime, e.XAttrs, o.XAttrs = 0, 0, nil, nil
	return fmt.Sprint(e) == fmt.Sprint(o)
}

// Diff lists what distinguishes two trees, at most limit lines, with paths relative to the roots; nothing means
// that they are identical but for access times.
func (t Tree) Diff(o Tree, limit int) []string {
	var lines []string
	say := func(format string, args ...any) {
		if len(lines) < limit {
			lines = append(lines, fmt.Sprintf(format, args...))
		}
	}
	here, there := t.relative(), o.relative()
	paths := slices.Sorted(maps.Keys(here))
	for _, p := range slices.Sorted(maps.Keys(there)) {
		if _, ok := here[p]; !ok {
			say("only there: %v", there[p])
		}
	}
	for _, p := range paths {
		mine, yours := here[p], there[p]
		switch {
		case yours.Type == "":
			say("only here: %v", mine)
		case !mine.Equal(yours):
			say("differs: %v here, %v there", mine, yours)
		}
	}
	return lines
}

// relative gives the entries by their paths below the root.
func (t Tree) relative() map[string]Entry {
	all := make(map[string]Entry, len(t.Entries))
	for _, e := range t.Entries {
		e.Path = strings.TrimPrefix(strings.TrimPrefix(e.Path, t.Root), "/")
		all[e.Path] = e
	}
	return all
}
