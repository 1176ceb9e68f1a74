package filecopytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
)

// Begin makes an empty file in a lot.
func (m *Memory) Begin(_ context.Context, lot string, _ filecopy.Entry) (filecopy.Handle, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := filecopy.Handle(fmt.Sprintf("%s/%d", lot, m.next()))
	m.lots[h] = &lotFile{lot: lot}
	return h, nil
}

// Write writes a part.
func (m *Memory) Write(_ context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.lots[h]
	if !ok {
		return filecopy.ErrNotFound
	}
	if need := int(p.Offset) + len(b); need > len(f.content) {
		f.content = append(f.content, make([]byte, need-len(f.content))...)
	}
	copy(f.content[p.Offset:], b)
	return nil
}

// Seal proves what is staged.
func (m *Memory) Seal(_ context.Context, h filecopy.Handle, e filecopy.Entry, _ filecopy.Checksum) (filecopy.Sealed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.lots[h]
	if !ok {
		return filecopy.Sealed{}, filecopy.ErrNotFound
	}
	if int64(len(f.content)) != e.Size {
		return filecopy.Sealed{}, filecopy.ErrCorrupt
	}
	return filecopy.Sealed{Handle: h, Identity: numberOf(h), Proof: filecopy.ProofServer, Sum: filecopy.SumOf(0).Extend(f.content)}, nil
}

// numberOf gives the number of a staged file.
func numberOf(h filecopy.Handle) string { return path.Base(string(h)) }

// Rescue takes a sealed file into another lot.
func (m *Memory) Rescue(_ context.Context, lot string, s filecopy.Sealed, _ filecopy.Entry) (filecopy.Handle, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.lots[s.Handle]
	if !ok {
		return "", filecopy.ErrNotFound
	}
	h := filecopy.Handle(lot + "/" + numberOf(s.Handle))
	delete(m.lots, s.Handle)
	m.lots[h] = &lotFile{lot: lot, content: f.content}
	return h, nil
}

// ReadSealed reads back.
func (m *Memory) ReadSealed(_ context.Context, s filecopy.Sealed) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.lots[s.Handle]
	if !ok {
		return nil, filecopy.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(f.content)), nil
}

// Publish puts a staged file in its place. Its id is made from the handle, which is how a repeated call knows it again.
func (m *Memory) Publish(_ context.Context, s filecopy.Sealed, e filecopy.Entry) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var id int64
	if _, err := fmt.Sscan(numberOf(s.Handle), &id); err != nil {
		return "", err
	}
	f, ok := m.lots[s.Handle]
	if !ok {
		if n := m.tree[e.Path]; n != nil && n.id == id {
			return n.listed().Version, nil
		}
		return "", fmt.Errorf("%w: nothing is staged as %q", filecopy.ErrNotFound, s.Handle)
	}
	if was := m.tree[e.Path]; was != nil && was.entry.Kind == filecopy.Directory {
		return "", filecopy.ErrChanged
	}
	n := &node{id: id, content: f.content, entry: e}
	if err := m.place(n); err != nil {
		return "", err
	}
	delete(m.lots, s.Handle)
	return n.listed().Version, nil
}

// place puts a node into the tree; the directory above must be there, and its list of entries has changed.
func (m *Memory) place(n *node) error {
	above, err := m.above(n.entry.Path)
	if err != nil {
		return err
	}
	n.parent = above.id
	n.entry.Version, n.entry.Size, n.entry.Sum = "", 0, filecopy.Checksum{}
	m.tree[n.entry.Path] = n
	m.restamp(above.entry.Path)
	return nil
}

func (m *Memory) above(p filecopy.Path) (*node, error) {
	above := m.tree[p.Dir()]
	if above == nil {
		return nil, filecopy.ErrNotFound
	}
	if above.entry.Kind != filecopy.Directory {
		return nil, filecopy.ErrChanged
	}
	return above, nil
}

// restamp changes the time of a directory whose list of entries changed.
func (m *Memory) restamp(p filecopy.Path) {
	m.serial++
	n := *m.tree[p]
	n.entry.Modified = time.Now().UnixMilli() + m.serial
	n.style++
	m.tree[p] = &n
}

// Discard removes a lot.
func (m *Memory) Discard(_ context.Context, lot string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for h, f := range m.lots {
		if f.lot == lot || strings.HasPrefix(f.lot, lot+"/") {
			delete(m.lots, h)
		}
	}
	maps.DeleteFunc(m.whole, func(name string, _ *Memory) bool { return name == lot || strings.HasPrefix(name, lot+"/") })
	return nil
}

// Staged counts the files in all lots.
func (m *Memory) Staged() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.lots)
}

// MakeDirectory makes a directory, or sets its attributes.
func (m *Memory) MakeDirectory(_ context.Context, e filecopy.Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.tree[e.Path]
	switch {
	case was == nil && e.Path == "":
		m.tree[""] = &node{id: m.next(), entry: e}
		return nil
	case was == nil:
		return m.place(&node{id: m.next(), entry: e})
	case was.entry.Kind != filecopy.Directory:
		return filecopy.ErrChanged
	}
	m.dress(was, e.Attributes)
	return nil
}

// MakeLink makes a link.
func (m *Memory) MakeLink(_ context.Context, e filecopy.Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if was := m.tree[e.Path]; was != nil && was.entry.Kind == filecopy.Directory {
		return filecopy.ErrChanged
	}
	return m.place(&node{id: m.next(), entry: e})
}

// dress replaces a node by one with other attributes.
func (m *Memory) dress(was *node, a filecopy.Attributes) {
	n := *was
	a.Link = was.entry.Link
	times := n.entry.Attributes
	times.Modified, times.Accessed = a.Modified, a.Accessed
	if fmt.Sprint(times) != fmt.Sprint(a) {
		n.style++
	}
	n.entry.Attributes = a
	m.tree[n.entry.Path] = &n
}

// SetAttributes sets some fields.
func (m *Memory) SetAttributes(_ context.Context, p filecopy.Path, a filecopy.Attributes, f filecopy.Fields) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.tree[p]
	if n == nil {
		return filecopy.ErrNotFound
	}
	m.dress(n, merge(n.entry.Attributes, a, f))
	return nil
}

// merge takes the fields from b.
func merge(a, b filecopy.Attributes, f filecopy.Fields) filecopy.Attributes {
	out := b
	keep := func(field filecopy.Fields, apply func()) {
		if !f.Has(field) {
			apply()
		}
	}
	keep(filecopy.FieldOwner, func() { out.Owner = a.Owner })
	keep(filecopy.FieldGroup, func() { out.Group = a.Group })
	keep(filecopy.FieldMode, func() { out.Mode = a.Mode })
	keep(filecopy.FieldACL, func() { out.ACL = a.ACL })
	keep(filecopy.FieldXattrs, func() { out.Xattrs = a.Xattrs })
	keep(filecopy.FieldModified, func() { out.Modified = a.Modified })
	keep(filecopy.FieldAccessed, func() { out.Accessed = a.Accessed })
	keep(filecopy.FieldReplication, func() { out.Replication = a.Replication })
	keep(filecopy.FieldBlockSize, func() { out.BlockSize = a.BlockSize })
	keep(filecopy.FieldStoragePolicy, func() { out.StoragePolicy = a.StoragePolicy })
	return out
}

// Move renames with all below.
func (m *Memory) Move(_ context.Context, from, to filecopy.Path) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tree[from] == nil {
		return filecopy.ErrNotFound
	}
	if m.tree[to] != nil {
		return filecopy.ErrChanged
	}
	above, err := m.above(to)
	if err != nil {
		return err
	}
	for _, p := range sortedPaths(m.tree, from) {
		n := *m.tree[p]
		delete(m.tree, p)
		n.entry.Path = p.Rebase(from, to)
		if p == from {
			n.parent = above.id
		}
		m.tree[n.entry.Path] = &n
	}
	m.restamp(from.Dir())
	m.restamp(to.Dir())
	return nil
}

// Retire takes an entry away with all below.
func (m *Memory) Retire(_ context.Context, p filecopy.Path, quarantine string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tree[p] == nil {
		return nil
	}
	if m.gone[quarantine] == nil {
		m.gone[quarantine] = map[filecopy.Path]*node{}
	}
	for _, q := range sortedPaths(m.tree, p) {
		m.gone[quarantine][q] = m.tree[q]
		delete(m.tree, q)
	}
	m.restamp(p.Dir())
	return nil
}

// Quarantines lists the quarantines, and removes old ones.
func (m *Memory) Quarantines(_ context.Context, removeBefore time.Time) ([]filecopy.Quarantine, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []filecopy.Quarantine
	for name := range m.gone {
		made, err := filecopy.QuarantineMade(name)
		if err == nil && !removeBefore.IsZero() && made.Before(removeBefore) {
			delete(m.gone, name)
			continue
		}
		all = append(all, filecopy.Quarantine{Name: name, Made: made})
	}
	return all, nil
}

// Keep stores an object.
func (m *Memory) Keep(_ context.Context, name string, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept[name] = b
	return nil
}

// Kept reads an object.
func (m *Memory) Kept(_ context.Context, name string) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.kept[name]
	if !ok {
		return nil, fmt.Errorf("%w: %s", filecopy.ErrNotFound, name)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// KeptNames lists the objects.
func (m *Memory) KeptNames(_ context.Context, prefix string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []string
	for name := range m.kept {
		if strings.HasPrefix(name, prefix) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all, nil
}

// Forget removes an object.
func (m *Memory) Forget(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.kept, name)
	return nil
}

// assembled is a tree of a lot's own, whose staged files are the store's.
type assembled struct {
	filecopy.Target
	own, of *Memory
}

func (a *assembled) Begin(ctx context.Context, lot string, e filecopy.Entry) (filecopy.Handle, error) {
	return a.of.Begin(ctx, lot, e)
}

func (a *assembled) Write(ctx context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	return a.of.Write(ctx, h, p, r)
}

func (a *assembled) Seal(ctx context.Context, h filecopy.Handle, e filecopy.Entry, sum filecopy.Checksum) (filecopy.Sealed, error) {
	return a.of.Seal(ctx, h, e, sum)
}

// Publish puts a staged file of the store into the assembly.
func (a *assembled) Publish(ctx context.Context, s filecopy.Sealed, e filecopy.Entry) (string, error) {
	a.of.mu.Lock()
	f, ok := a.of.lots[s.Handle]
	delete(a.of.lots, s.Handle)
	a.of.mu.Unlock()
	if ok {
		a.own.mu.Lock()
		a.own.lots[s.Handle] = f
		a.own.mu.Unlock()
	}
	return a.own.Publish(ctx, s, e)
}

// Assembly gives the tree of a lot's own.
func (m *Memory) Assembly(lot string) (filecopy.Target, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.whole == nil {
		m.whole = map[string]*Memory{}
	}
	own := m.whole[lot]
	if own == nil {
		own = NewMemory(m.name, false)
		own.serial = m.serial + 1<<32
		m.whole[lot] = own
	}
	return &assembled{own, own, m}, nil
}

// Reveal moves a directory with all below it into the tree.
func (m *Memory) Reveal(_ context.Context, lot string, p filecopy.Path) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	own := m.whole[lot]
	if own == nil {
		return filecopy.ErrNotFound
	}
	own.mu.Lock()
	defer own.mu.Unlock()
	if own.tree[p] == nil {
		return filecopy.ErrNotFound
	}
	if m.tree[p] != nil {
		return filecopy.ErrChanged
	}
	above, err := m.above(p)
	if err != nil {
		return err
	}
	for _, q := range sortedPaths(own.tree, p) {
		n := *own.tree[q]
		delete(own.tree, q)
		if q == p {
			n.parent = above.id
		}
		m.tree[q] = &n
	}
	m.serial = max(m.serial, own.serial)
	m.restamp(p.Dir())
	return nil
}

// DamageStaged flips a bit of a staged file: it has rotted before it was published.
func (m *Memory) DamageStaged(h filecopy.Handle) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.lots[h]
	if f == nil || len(f.content) == 0 {
		return errors.New("nothing to damage")
	}
	f.content[len(f.content)/2] ^= 1
	return nil
}

// Damage flips a bit of a file that is in the tree, without anything else changing: the file has rotted.
func (m *Memory) Damage(p filecopy.Path) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.tree[p]
	if n == nil || len(n.content) == 0 {
		return errors.New("nothing to damage")
	}
	rotten := *n
	rotten.content = slices.Clone(n.content)
	rotten.content[len(rotten.content)/2] ^= 1
	m.tree[p] = &rotten
	return nil
}
