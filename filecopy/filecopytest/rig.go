package filecopytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// Rig is what the suite runs on. Each call gives a fresh, empty store.
type Rig struct {
	// Source and Target make stores whose roots exist.
	Source func(t *testing.T) filecopy.Target
	Target func(t *testing.T) filecopy.Target
	// Mover makes a mover with a data directory.
	Mover func(dir string) filecopy.Mover
	// Rot flips a byte of a staged file where the store keeps it, and of nothing else; nil where a test cannot, and flips it as it is read back.
	Rot func(t *testing.T, target filecopy.Target, s filecopy.Sealed)
	// ReadBack has all runs read back what they stage.
	ReadBack bool
	// Stride is how many store calls lie between two crashes of the sweep; 1 crashes before every one.
	Stride int
	// Fields limits the attributes that are compared, where an account may not set all that its store holds; zero means all.
	Fields filecopy.Fields
}

// bench is a rig with a job on it.
type bench struct {
	*testing.T
	rig    Rig
	ctx    context.Context
	source filecopy.Target
	target filecopy.Target
	dir    string
	job    filecopy.Job
	// root is that of the source when something was first put into it.
	root *filecopy.Entry
}

func (r Rig) bench(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, rig: r, ctx: t.Context(), source: r.Source(t), target: r.Target(t), dir: t.TempDir()}
	b.job = filecopy.Job{Name: "suite", Source: b.source, Target: b.target, ReadBack: r.ReadBack, Guard: filecopy.Guard{MaxDeletes: 1000, MaxShare: 1}}
	return b
}

// run runs the job, and wants it to succeed.
func (b *bench) run() filecopy.Set {
	b.Helper()
	set, err := b.rig.Mover(b.dir).Run(b.ctx, b.job, nil)
	if err != nil {
		b.Fatalf("run: %v", err)
	}
	return set
}

// refused runs the job, and wants it to fail with an error of the contract, under a code.
func (b *bench) refused(want error, code understudy.Code) {
	b.Helper()
	_, err := b.rig.Mover(b.dir).Run(b.ctx, b.job, nil)
	var coded *understudy.Error
	if !errors.Is(err, want) || !errors.As(err, &coded) || coded.Code != code {
		b.Fatalf("run = %v, want %s: %v", err, code, want)
	}
}

// write puts a file into a store by way of the contract, as somebody else would.
func write(ctx context.Context, to filecopy.Target, p filecopy.Path, content string, a filecopy.Attributes) error {
	if err := makeDirs(ctx, to, p.Dir()); err != nil {
		return err
	}
	e := filecopy.Entry{Path: p, Kind: filecopy.File, Size: int64(len(content)), Attributes: a}
	h, err := to.Begin(ctx, "elsewhere", e)
	if err != nil {
		return err
	}
	step := max(e.Size, 1)
	if size := to.Describe().Capabilities.PartSize; size != nil {
		step = size(e.Size)
	}
	sum := filecopy.SumOf(0).Extend([]byte(content))
	for n, at := 0, int64(0); n == 0 || at < e.Size; n, at = n+1, at+step {
		piece := []byte(content)[at:min(at+step, e.Size)]
		part := filecopy.Part{Number: n, Offset: at, Size: int64(len(piece))}
		if err := to.Write(ctx, h, part, bytes.NewReader(piece)); err != nil {
			return err
		}
	}
	sealed, err := to.Seal(ctx, h, e, sum)
	if err != nil {
		return err
	}
	_, err = to.Publish(ctx, sealed, e)
	return err
}

func makeDirs(ctx context.Context, to filecopy.Target, p filecopy.Path) error {
	if p == "" || !to.Describe().Capabilities.Directories {
		return nil
	}
	view, err := to.Open(ctx, filecopy.Pin{})
	if err != nil {
		return err
	}
	defer view.Close()
	if _, err := view.Stat(ctx, p); err == nil {
		return nil
	}
	if err := makeDirs(ctx, to, p.Dir()); err != nil {
		return err
	}
	return to.MakeDirectory(ctx, filecopy.Entry{Path: p, Kind: filecopy.Directory, Attributes: plain(0o755)})
}

// plain are attributes that every account may set.
func plain(mode uint32) filecopy.Attributes {
	return filecopy.Attributes{Mode: mode, Modified: 1_500_000_000_123, Accessed: 1_500_000_000_456}
}

// put writes a file into the source.
func (b *bench) put(p filecopy.Path, content string) {
	b.Helper()
	if err := write(b.ctx, b.source, p, content, b.own(plain(0o644))); err != nil {
		b.Fatalf("write %q: %v", p, err)
	}
}

// own keeps owner and group as the store gave them, which every account may. They are asked for once: a test puts hundreds of files.
func (b *bench) own(a filecopy.Attributes) filecopy.Attributes {
	if b.root == nil {
		root, err := b.stat(b.source, "")
		if err != nil {
			b.Fatal(err)
		}
		b.root = &root
	}
	a.Owner, a.Group = b.root.Owner, b.root.Group
	a.Replication, a.BlockSize = 1, 1<<20
	return a
}

func (b *bench) stat(s filecopy.Store, p filecopy.Path) (filecopy.Entry, error) {
	view, err := s.Open(b.ctx, filecopy.Pin{})
	if err != nil {
		return filecopy.Entry{}, err
	}
	defer view.Close()
	return view.Stat(b.ctx, p)
}

// tree reads a whole store: what it holds, by path. A server may still answer the last request of a mover that is gone: then it reads anew.
func (b *bench) tree(s filecopy.Store) map[filecopy.Path]seen {
	b.Helper()
	for {
		all, err := b.look(s)
		if err == nil {
			return all
		}
		if !errors.Is(err, filecopy.ErrChanged) {
			b.Fatal(err)
		}
		b.Log(err)
	}
}

func (b *bench) look(s filecopy.Store) (map[filecopy.Path]seen, error) {
	view, err := s.Open(b.ctx, filecopy.Pin{})
	if err != nil {
		return nil, err
	}
	defer view.Close()
	all := map[filecopy.Path]seen{}
	err = view.List(b.ctx, "", func(e filecopy.Entry) error {
		all[e.Path] = seen{entry: e}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for p, s := range all {
		if s.entry.Kind != filecopy.File {
			continue
		}
		if s.content, err = slurp(b.ctx, view, s.entry); err != nil {
			return nil, fmt.Errorf("read %q: %w", p, err)
		}
		all[p] = s
	}
	return all, nil
}

// seen is an entry with its content.
type seen struct {
	entry   filecopy.Entry
	content string
}

func slurp(ctx context.Context, v filecopy.View, e filecopy.Entry) (string, error) {
	r, err := v.Read(ctx, e, 0)
	if err != nil {
		return "", err
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	return string(content), err
}

// slurpPieces reads a file in pieces of at most three bytes, where its reader gives any.
func slurpPieces(ctx context.Context, v filecopy.View, e filecopy.Entry) (string, error) {
	r, err := v.Read(ctx, e, 0)
	if err != nil {
		return "", err
	}
	defer r.Close()
	from, ok := r.(filecopy.Piecewise)
	if !ok {
		return slurp(ctx, v, e)
	}
	var content []byte
	for {
		p, err := from.Piece(3)
		if errors.Is(err, io.EOF) {
			return string(content), nil
		}
		if err != nil {
			return string(content), err
		}
		if n := len(p.Data()); n == 0 || n > 3 {
			return string(content), fmt.Errorf("a piece of %d bytes", n)
		}
		content = append(content, p.Data()...)
		p.Release()
	}
}

// same wants the target to be as the source.
func (b *bench) same() {
	b.Helper()
	b.sameTrees(b.source, b.target)
}

func (b *bench) sameTrees(one, other filecopy.Store) {
	b.Helper()
	b.holdsWhat(one, other, b.tree(one))
}

// holdsWhat wants a store to be as another one was, and gives what it holds.
func (b *bench) holdsWhat(one, other filecopy.Store, source map[filecopy.Path]seen) map[filecopy.Path]seen {
	b.Helper()
	all := b.tree(other)
	target := maps.Clone(all)
	can := one.Describe().Capabilities.Attributes & other.Describe().Capabilities.Attributes
	if b.rig.Fields != 0 {
		can &= b.rig.Fields
	}
	for _, p := range slices.SortedFunc(maps.Keys(source), filecopy.Path.Compare) {
		s := source[p]
		t, ok := target[p]
		delete(target, p)
		if !ok && !holds(other, s.entry.Kind) {
			continue
		}
		if !ok {
			b.Errorf("%q is missing", p)
			continue
		}
		if why := differs(s, t, can); why != "" {
			b.Errorf("%q: %s", p, why)
		}
	}
	for p, t := range target {
		if holds(one, t.entry.Kind) {
			b.Errorf("%q is too much", p)
		}
	}
	return all
}

// holds says whether a store has entries of a kind.
func holds(s filecopy.Store, k filecopy.EntryKind) bool {
	can := s.Describe().Capabilities
	return k == filecopy.File || k == filecopy.Directory && can.Directories || k == filecopy.Symlink && can.Symlinks
}

// differs says how two entries differ, in the given fields.
func differs(s, t seen, can filecopy.Fields) string {
	if s.entry.Kind != t.entry.Kind || s.entry.Link != t.entry.Link {
		return fmt.Sprintf("is %v to %q, want %v to %q", t.entry.Kind, t.entry.Link, s.entry.Kind, s.entry.Link)
	}
	if s.content != t.content {
		return fmt.Sprintf("content is %.40q (%d bytes), want %.40q (%d bytes)", t.content, len(t.content), s.content, len(s.content))
	}
	can &^= filecopy.FieldAccessed | filecopy.FieldBlockSize
	if s.entry.Kind == filecopy.Symlink {
		can &= filecopy.FieldOwner | filecopy.FieldGroup
	}
	want := merge(t.entry.Attributes, s.entry.Attributes, can)
	if got := fmt.Sprintf("%+v", t.entry.Attributes); got != fmt.Sprintf("%+v", want) {
		return fmt.Sprintf("attributes are %s, want %+v", got, want)
	}
	return ""
}

// clean wants nothing of the job to be left but the published set.
func (b *bench) clean() {
	b.Helper()
	names, err := b.target.KeptNames(b.ctx, "suite/ready")
	if err != nil || len(names) > 0 {
		b.Errorf("left behind: %v, %v", names, err)
	}
}
