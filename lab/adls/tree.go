package adls

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// node is a file or a directory. Its content is never changed in place: who reads goes on with what he began with.
type node struct {
	dir          bool
	owner, group string
	list         list
	sticky       bool
	properties   map[string]string
	made         time.Time
	modified     time.Time
	etag         string
	content      []byte
	// waiting are appends that are not flushed, by position.
	waiting  map[int64][]byte
	children map[string]*node
}

// filesystem is one tree.
type filesystem struct {
	root       *node
	properties map[string]string
	modified   time.Time
	etag       string
}

// change is one acknowledged change, as it is written to the log; data follows it there.
type change struct {
	Do   string `json:"do"`
	FS   string `json:"fs"`
	Path string `json:"path,omitempty"`
	To   string `json:"to,omitempty"`
	// At and ETag stamp what is changed.
	At   time.Time `json:"at"`
	ETag string    `json:"etag"`
	Dir  bool      `json:"dir,omitempty"`
	// Owner, Group, List, Sticky and Properties are those of what is made; of what is dressed, all of them are set.
	Owner      string            `json:"owner,omitempty"`
	Group      string            `json:"group,omitempty"`
	List       string            `json:"list,omitempty"`
	Sticky     bool              `json:"sticky,omitempty"`
	Properties map[string]string `json:"properties,omitempty"`
	Position   int64             `json:"position,omitempty"`
	Retain     bool              `json:"retain,omitempty"`
	data       []byte
}

// What a change does.
const (
	doMakeFS     = "make file system"
	doRemoveFS   = "remove file system"
	doDescribeFS = "describe file system"
	doMake       = "make"
	doDress      = "dress"
	doAppend     = "append"
	doFlush      = "flush"
	doRename     = "rename"
	doRemove     = "remove"
)

var errApply = errors.New("a change does not fit what is there")

// elements splits a path; the root has none.
func elements(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// find gives what lies at a path.
func (f *filesystem) find(path string) *node {
	n := f.root
	for _, e := range elements(path) {
		if n = n.children[e]; n == nil {
			return nil
		}
	}
	return n
}

// split gives the directory above a path, and the last element.
func split(path string) (dir, base string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

// parent makes the directories above a path, as the service does, and gives the nearest.
func (f *filesystem) parent(path string, c change) (*node, string, error) {
	dir, base := split(path)
	n := f.root
	for _, e := range elements(dir) {
		next := n.children[e]
		if next == nil {
			next = &node{dir: true, owner: superuser, group: n.group, list: n.list.heir(0o777, defaultUmask, true), made: c.At, modified: c.At, etag: c.ETag, children: map[string]*node{}}
			n.children[e] = next
		}
		if !next.dir {
			return nil, "", errApply
		}
		n = next
	}
	return n, base, nil
}

// apply makes a change that was found to be possible, or that was acknowledged before.
func (s *state) apply(c change) error {
	switch c.Do {
	case doMakeFS:
		root := &node{dir: true, owner: superuser, group: superuser, list: plain(0o750), made: c.At, modified: c.At, etag: c.ETag, children: map[string]*node{}}
		s.systems[c.FS] = &filesystem{root: root, properties: c.Properties, modified: c.At, etag: c.ETag}
		return nil
	case doRemoveFS:
		delete(s.systems, c.FS)
		return nil
	}
	f := s.systems[c.FS]
	if f == nil {
		return errApply
	}
	switch c.Do {
	case doDescribeFS:
		f.properties, f.modified, f.etag = c.Properties, c.At, c.ETag
		return nil
	case doMake:
		return f.make(c)
	case doRename:
		return f.rename(c)
	case doRemove:
		return f.remove(c)
	}
	n := f.find(c.Path)
	if n == nil {
		return errApply
	}
	return n.apply(c)
}

// apply changes one file or directory.
func (n *node) apply(c change) error {
	switch c.Do {
	case doDress:
		l, err := parseList(c.List)
		if err != nil {
			return err
		}
		n.owner, n.group, n.list, n.sticky, n.properties = c.Owner, c.Group, l, c.Sticky, c.Properties
		n.etag, n.modified = c.ETag, c.At
	case doAppend:
		if n.waiting == nil {
			n.waiting = map[int64][]byte{}
		}
		n.waiting[c.Position] = c.data
	case doFlush:
		content, ok := n.flushed(c.Position)
		if !ok {
			return errApply
		}
		if n.content = content; !c.Retain {
			n.waiting = nil
		}
		maps.DeleteFunc(n.waiting, func(at int64, _ []byte) bool { return at < c.Position })
		n.etag, n.modified = c.ETag, c.At
	default:
		return fmt.Errorf("%w: nobody knows how to %q", errApply, c.Do)
	}
	return nil
}

// flushed is the content after a flush; false when what was appended does not reach the position without gap or overlap.
func (n *node) flushed(position int64) ([]byte, bool) {
	var more [][]byte
	at := int64(len(n.content))
	for at < position {
		data, ok := n.waiting[at]
		if !ok {
			return nil, false
		}
		more, at = append(more, data), at+int64(len(data))
	}
	if at != position {
		return nil, false
	}
	for _, from := range slices.Collect(maps.Keys(n.waiting)) {
		if !fits(n.waiting, from, int64(len(n.content)), position) {
			return nil, false
		}
	}
	return bytes.Join(append([][]byte{n.content}, more...), nil), true
}

// fits says whether an append lies in the row of those that are flushed, or behind it.
func fits(waiting map[int64][]byte, from, at, position int64) bool {
	for at < from && at < position {
		at += int64(len(waiting[at]))
	}
	return at == from || from >= position
}

func (f *filesystem) make(c change) error {
	above, base, err := f.parent(c.Path, c)
	if err != nil {
		return err
	}
	l, err := parseList(c.List)
	if err != nil {
		return err
	}
	n := &node{dir: c.Dir, owner: c.Owner, group: c.Group, list: l, sticky: c.Sticky, properties: c.Properties, made: c.At, modified: c.At, etag: c.ETag}
	if c.Dir {
		n.children = map[string]*node{}
	}
	above.children[base] = n
	return nil
}

func (f *filesystem) rename(c change) error {
	from, name := split(c.Path)
	to, base := split(c.To)
	above, below := f.find(from), f.find(to)
	if above == nil || below == nil || above.children[name] == nil || !below.dir {
		return errApply
	}
	n := above.children[name]
	delete(above.children, name)
	below.children[base] = n
	return nil
}

func (f *filesystem) remove(c change) error {
	dir, base := split(c.Path)
	above := f.find(dir)
	if above == nil || above.children[base] == nil {
		return errApply
	}
	delete(above.children, base)
	return nil
}

// walk visits what lies below a node, each directory before what is in it, in the order of names, until visit says false.
func (n *node) walk(path string, recursive bool, visit func(path string, n *node) bool) bool {
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		child := n.children[name]
		at := strings.TrimPrefix(path+"/"+name, "/")
		if !visit(at, child) {
			return false
		}
		if recursive && child.dir && !child.walk(at, true, visit) {
			return false
		}
	}
	return true
}

// encode gives a change as it is written.
func (c change) encode() ([]byte, error) { return json.Marshal(c) }
