package filecopytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
)

// Memory is a store in memory that keeps the whole contract, with snapshots and a diff as HDFS has them: a change of times alone
// is not in the diff, and a change below a renamed directory is named by its old path. It is the reference that the suite is
// tested with, and fast enough to crash a run at every single call.
type Memory struct {
	mu     sync.Mutex
	name   string
	tree   map[filecopy.Path]*node
	pins   map[string]*pinned
	lots   map[filecopy.Handle]*lotFile
	kept   map[string][]byte
	gone   map[string]map[filecopy.Path]*node
	serial int64
	// whole are the assemblies, by lot.
	whole map[string]*Memory
	can   filecopy.Capabilities
}

// node is an entry; it is never changed once it is in a tree, but replaced, so that snapshots can share it.
type node struct {
	id, parent   int64
	entry        filecopy.Entry
	content      []byte
	bytes, style int64
}

type pinned struct {
	pin  filecopy.Pin
	tree map[filecopy.Path]*node
}

type lotFile struct {
	lot     string
	content []byte
}

var (
	_ filecopy.Target      = &Memory{}
	_ filecopy.Snapshotter = &Memory{}
	_ filecopy.Assembler   = &Memory{}
	_ filecopy.Rescuer     = &Memory{}
)

// NewMemory gives an empty store; snapshots says whether it offers them. Its root exists.
func NewMemory(name string, snapshots bool) *Memory {
	m := &Memory{
		name: name, pins: map[string]*pinned{}, lots: map[filecopy.Handle]*lotFile{},
		kept: map[string][]byte{}, gone: map[string]map[filecopy.Path]*node{},
	}
	m.tree = map[filecopy.Path]*node{"": {id: m.next(), entry: filecopy.Entry{Kind: filecopy.Directory, Attributes: filecopy.Attributes{Mode: 0o755}}}}
	m.can = filecopy.Capabilities{
		Snapshots: snapshots, Diff: snapshots, DiffMisses: filecopy.FieldModified | filecopy.FieldAccessed,
		RenameOver: true, Directories: true, Symlinks: true, Attributes: filecopy.AllFields,
		ServerSum: true, Proof: filecopy.ProofServer, PartSize: func(int64) int64 { return 16 },
	}
	return m
}

func (m *Memory) next() int64 {
	m.serial++
	return m.serial
}

// Describe says what the store can do.
func (m *Memory) Describe() filecopy.Description {
	return filecopy.Description{Kind: "memory", Name: m.name, Capabilities: m.can}
}

// CheckName allows every path.
func (m *Memory) CheckName(p filecopy.Path) error {
	if err := p.Check(); err != nil {
		return errors.Join(filecopy.ErrName, err)
	}
	return nil
}

// Probe gives the root's identity.
func (m *Memory) Probe(context.Context) (filecopy.Root, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	root, ok := m.tree[""]
	if !ok {
		return filecopy.Root{}, filecopy.ErrNotFound
	}
	return filecopy.Root{Identity: fmt.Sprintf("%p-%d", m, root.id), Now: time.Now(), Free: -1}, nil
}

// Replace makes the root another, empty one, as when something else is mounted there.
func (m *Memory) Replace() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tree = map[filecopy.Path]*node{"": {id: m.next(), entry: filecopy.Entry{Kind: filecopy.Directory}}}
}

// Open gives the tree at a pin.
func (m *Memory) Open(_ context.Context, at filecopy.Pin) (filecopy.View, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at.Name == "" {
		return &memoryView{m, nil}, nil
	}
	p, ok := m.pins[at.Name]
	if !ok || p.pin.Identity != at.Identity {
		return nil, filecopy.ErrPinLost
	}
	return &memoryView{m, p.tree}, nil
}

// Pin makes a snapshot.
func (m *Memory) Pin(_ context.Context, name string) (filecopy.Pin, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.pins[name]
	if !ok {
		p = &pinned{filecopy.Pin{Name: name, Identity: fmt.Sprint(m.next()), Time: time.Now()}, maps.Clone(m.tree)}
		m.pins[name] = p
	}
	return p.pin, nil
}

// Unpin removes a snapshot.
func (m *Memory) Unpin(_ context.Context, p filecopy.Pin) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pins, p.Name)
	return nil
}

// Pins lists the snapshots.
func (m *Memory) Pins(context.Context) ([]filecopy.Pin, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []filecopy.Pin
	for _, p := range m.pins {
		all = append(all, p.pin)
	}
	return all, nil
}

// Diff compares by the ids of entries.
func (m *Memory) Diff(_ context.Context, from, to filecopy.Pin, found func(filecopy.Change) error) error {
	m.mu.Lock()
	older, newer := m.pins[from.Name], m.tree
	if to.Name != "" && m.pins[to.Name] != nil {
		newer = m.pins[to.Name].tree
	}
	m.mu.Unlock()
	if older == nil || older.pin.Identity != from.Identity {
		return filecopy.ErrPinLost
	}
	for _, c := range changes(older.tree, newer) {
		if err := found(c); err != nil {
			return err
		}
	}
	return nil
}

func changes(older, newer map[filecopy.Path]*node) []filecopy.Change {
	was, is := byID(older), byID(newer)
	var all []filecopy.Change
	for _, n := range older {
		now, ok := is[n.id]
		_, above := is[n.parent]
		switch {
		case !ok && (above || n.parent == 0):
			all = append(all, filecopy.Change{Kind: filecopy.Deleted, Path: n.entry.Path})
		case !ok:
		default:
			all = append(all, changed(n, now, is)...)
		}
	}
	for _, n := range newer {
		_, ok := was[n.id]
		if _, above := was[n.parent]; !ok && (above || n.parent == 0) {
			all = append(all, filecopy.Change{Kind: filecopy.Created, Path: n.entry.Path})
		}
	}
	return all
}

func changed(n, now *node, is map[int64]*node) []filecopy.Change {
	var all []filecopy.Change
	expected := n.entry.Path
	if above := is[n.parent]; above != nil {
		expected = above.entry.Path.Join(n.entry.Path.Base())
	}
	if now.entry.Path != expected {
		all = append(all, filecopy.Change{Kind: filecopy.Renamed, Path: n.entry.Path, To: now.entry.Path})
	}
	if now.bytes != n.bytes || now.style != n.style {
		all = append(all, filecopy.Change{Kind: filecopy.Modified, Path: n.entry.Path})
	}
	return all
}

func byID(tree map[filecopy.Path]*node) map[int64]*node {
	all := map[int64]*node{}
	for _, n := range tree {
		all[n.id] = n
	}
	return all
}

// memoryView is a tree at a pin; a nil tree is the live one.
type memoryView struct {
	store *Memory
	tree  map[filecopy.Path]*node
}

func (v *memoryView) get(p filecopy.Path) *node {
	v.store.mu.Lock()
	defer v.store.mu.Unlock()
	if v.tree != nil {
		return v.tree[p]
	}
	return v.store.tree[p]
}

func (n *node) listed() filecopy.Entry {
	e := n.entry
	if e.Kind == filecopy.File {
		e.Size, e.Version = int64(len(n.content)), fmt.Sprintf("%d.%d", n.id, n.bytes)
	}
	return e
}

// List gives the entries in no order.
func (v *memoryView) List(ctx context.Context, dir filecopy.Path, found func(filecopy.Entry) error) error {
	if v.get(dir) == nil {
		return filecopy.ErrNotFound
	}
	v.store.mu.Lock()
	tree := v.tree
	if tree == nil {
		tree = maps.Clone(v.store.tree)
	}
	v.store.mu.Unlock()
	for p, n := range tree {
		if p == dir || !p.Below(dir) {
			continue
		}
		if err := errors.Join(ctx.Err(), found(n.listed())); err != nil {
			return err
		}
	}
	return nil
}

// Stat gives one entry.
func (v *memoryView) Stat(_ context.Context, p filecopy.Path) (filecopy.Entry, error) {
	n := v.get(p)
	if n == nil {
		return filecopy.Entry{}, fmt.Errorf("%w: %q", filecopy.ErrNotFound, p)
	}
	return n.listed(), nil
}

// Read reads one version.
func (v *memoryView) Read(_ context.Context, e filecopy.Entry, offset int64) (io.ReadCloser, error) {
	n := v.get(e.Path)
	if n == nil {
		return nil, filecopy.ErrNotFound
	}
	if n.listed().Version != e.Version {
		return nil, filecopy.ErrChanged
	}
	return &memoryReader{v, e, strings.NewReader(string(n.content[min(offset, int64(len(n.content))):]))}, nil
}

// Sum computes the checksum.
func (v *memoryView) Sum(_ context.Context, e filecopy.Entry) (filecopy.Checksum, error) {
	n := v.get(e.Path)
	if n == nil {
		return filecopy.Checksum{}, filecopy.ErrNotFound
	}
	if n.listed().Version != e.Version {
		return filecopy.Checksum{}, filecopy.ErrChanged
	}
	return filecopy.SumOf(0).Extend(n.content), nil
}

// Close does nothing.
func (v *memoryView) Close() error { return nil }

type memoryReader struct {
	view *memoryView
	want filecopy.Entry
	from *strings.Reader
}

// Read gives ErrChanged in place of the end when the file is another one by then.
func (r *memoryReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if errors.Is(err, io.EOF) {
		if now := r.view.get(r.want.Path); now == nil || now.listed().Version != r.want.Version {
			return n, filecopy.ErrChanged
		}
	}
	return n, err
}

func (r *memoryReader) Close() error { return nil }

// sortedPaths gives the paths at and below one.
func sortedPaths(tree map[filecopy.Path]*node, dir filecopy.Path) []filecopy.Path {
	var all []filecopy.Path
	for p := range tree {
		if p.Below(dir) {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, filecopy.Path.Compare)
	return all
}
