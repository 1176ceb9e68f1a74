package filecopytest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
)

// Run runs the whole suite.
func Run(t *testing.T, r Rig) {
	for _, c := range []struct {
		name string
		test func(*bench)
	}{
		{"Store", testStore},
		{"Tree", testTree},
		{"Names", testNames},
		{"DeepAndWide", testDeepAndWide},
		{"Increment", testIncrement},
		{"Renames", testRenames},
		{"KindsChange", testKindsChange},
		{"Attributes", testAttributes},
		{"Guard", testGuard},
		{"EmptiedSource", testEmptiedSource},
		{"Quarantine", testQuarantine},
		{"Assembly", testAssembly},
		{"Rescue", testRescue},
		{"Probes", testProbes},
		{"Drift", testDrift},
		{"FlippedOnTheWay", testFlippedOnTheWay},
		{"RotsAtTarget", testRotsAtTarget},
		{"FlippedAtSource", testFlippedAtSource},
		{"ChangedWhileRead", testChangedWhileRead},
		{"VanishedWhileRead", testVanishedWhileRead},
		{"ReadersSeeWholeFiles", testReaders},
		{"AnyChanges", testAnyChanges},
		{"CrashAndResume", testCrash},
		{"CrashBeforeAnswer", testCrashAfterEffect},
		{"LostMember", testLostMember},
		{"LostMembers", testLostMembers},
		{"FinishWithoutSource", testFinish},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(r.bench(t)) })
	}
}

// testStore holds single calls of a store to the contract.
func testStore(b *bench) {
	b.put("dir/file", "content")
	e, err := b.stat(b.source, "dir/file")
	if err != nil || e.Kind != filecopy.File || e.Size != 7 || e.Version == "" {
		b.Fatalf("stat = %+v, %v", e, err)
	}
	view, err := b.source.Open(b.ctx, filecopy.Pin{})
	if err != nil {
		b.Fatal(err)
	}
	defer view.Close()
	if _, err := view.Stat(b.ctx, "dir/absent"); !errors.Is(err, filecopy.ErrNotFound) {
		b.Errorf("stat of an absent file = %v", err)
	}
	if _, err := view.Stat(b.ctx, "dir/file/below"); !errors.Is(err, filecopy.ErrNotFound) {
		b.Errorf("stat below a file = %v", err)
	}
	if err := view.List(b.ctx, "absent", func(filecopy.Entry) error { return nil }); !errors.Is(err, filecopy.ErrNotFound) {
		b.Errorf("list of an absent directory = %v", err)
	}
	sum, err := view.Sum(b.ctx, e)
	if b.source.Describe().Capabilities.ServerSum && (err != nil || sum != filecopy.SumOf(0).Extend([]byte("content"))) {
		b.Errorf("sum = %v, %v", sum, err)
	}
	if content, err := slurpPieces(b.ctx, view, e); err != nil || content != "content" {
		b.Errorf("in pieces it is %q, %v", content, err)
	}
	b.put("dir/file", "CONTENT")
	for name, read := range map[string]func(context.Context, filecopy.View, filecopy.Entry) (string, error){"reading": slurp, "pieces of": slurpPieces} {
		if _, err := read(b.ctx, view, e); !errors.Is(err, filecopy.ErrChanged) && !errors.Is(err, filecopy.ErrNotFound) {
			b.Errorf("%s an entry that was replaced = %v", name, err)
		}
	}
	b.keeps()
	b.retires()
}

// keeps looks at kept objects.
func (b *bench) keeps() {
	b.Helper()
	for _, content := range []string{"one", "two"} {
		if err := b.source.Keep(b.ctx, "j/a/b.json", strings.NewReader(content)); err != nil {
			b.Fatal(err)
		}
	}
	if names, err := b.source.KeptNames(b.ctx, "j/a"); err != nil || fmt.Sprint(names) != "[j/a/b.json]" {
		b.Errorf("kept names = %v, %v", names, err)
	}
	for range 2 {
		if err := b.source.Forget(b.ctx, "j/a/b.json"); err != nil {
			b.Errorf("forget = %v", err)
		}
	}
	if _, err := b.source.Kept(b.ctx, "j/a/b.json"); !errors.Is(err, filecopy.ErrNotFound) {
		b.Errorf("kept after forget = %v", err)
	}
}

// retires moves and retires, each twice.
func (b *bench) retires() {
	b.Helper()
	if b.source.Describe().Capabilities.RenameOver {
		if err := b.source.Move(b.ctx, "dir", "moved"); err != nil {
			b.Errorf("move = %v", err)
		}
		if err := b.source.Move(b.ctx, "dir", "moved"); !errors.Is(err, filecopy.ErrNotFound) {
			b.Errorf("move again = %v", err)
		}
		b.put("dir/file", "new")
		if err := b.source.Move(b.ctx, "moved", "dir"); !errors.Is(err, filecopy.ErrChanged) {
			b.Errorf("move to a taken place = %v", err)
		}
	}
	for range 2 {
		if err := b.source.Retire(b.ctx, "dir/file", "20200101T000000Z-x-1"); err != nil {
			b.Errorf("retire = %v", err)
		}
	}
	if _, err := b.stat(b.source, "dir/file"); !errors.Is(err, filecopy.ErrNotFound) {
		b.Errorf("stat of a retired file = %v", err)
	}
}

func testTree(b *bench) {
	b.put("zero", "")
	b.put("a/one", "1")
	b.put("a.b", "sorts between a and a/one by bytes")
	b.put("a/large", strings.Repeat("0123456789abcdef", 4096))
	if b.source.Describe().Capabilities.Directories {
		b.must(b.source.MakeDirectory(b.ctx, filecopy.Entry{Path: "empty", Kind: filecopy.Directory, Attributes: b.own(plain(0o711))}))
	}
	if b.source.Describe().Capabilities.Symlinks {
		b.must(b.source.MakeLink(b.ctx, filecopy.Entry{Path: "a/link", Kind: filecopy.Symlink, Attributes: filecopy.Attributes{Link: "../zero"}}))
		b.must(b.source.MakeLink(b.ctx, filecopy.Entry{Path: "dangling", Kind: filecopy.Symlink, Attributes: filecopy.Attributes{Link: "/no/such/place"}}))
	}
	set := b.run()
	if set.Files != 4 || set.Bytes != 1+34+65536 || set.SourceTime.IsZero() || set.ID == "" {
		b.Errorf("set = %+v", set)
	}
	b.same()
	b.clean()
	again := b.run()
	if again.ID != set.ID || again.Number != set.Number+1 || again.SourceTime.Before(set.SourceTime) {
		b.Errorf("without a change = %+v, was %+v", again, set)
	}
	b.same()
	standing, err := b.rig.Mover(b.dir).Standing(b.ctx, b.job)
	if err != nil || standing.Published == nil || standing.Published.ID != set.ID || standing.Ready != nil || standing.Shown {
		b.Errorf("standing = %+v, %v", standing, err)
	}
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// testNames copies a file with each byte that both stores allow in its name, alone and inside.
func testNames(b *bench) {
	count := 0
	for c := 1; c < 256; c++ {
		if c == '/' {
			continue
		}
		for _, p := range []filecopy.Path{filecopy.Path([]byte{byte(c)}), filecopy.Path([]byte{'x', byte(c), 'y'})} {
			if b.source.CheckName(p) != nil || b.target.CheckName(p) != nil {
				continue
			}
			b.put(p, fmt.Sprint(c))
			count++
		}
	}
	for _, p := range []filecopy.Path{"...", " ", "é", "日本", "-rf", filecopy.Path(strings.Repeat("n", 200))} {
		if b.source.CheckName(p) == nil && b.target.CheckName(p) == nil {
			b.put(p, "more")
			count++
		}
	}
	if count < 100 {
		b.Errorf("only %d names are allowed", count)
	}
	b.run()
	b.same()
	for _, p := range []filecopy.Path{"..", "a/../b", "a//b", "/a", "a/", "nul\x00"} {
		if err := b.target.CheckName(p); !errors.Is(err, filecopy.ErrName) {
			b.Errorf("CheckName(%q) = %v", p, err)
		}
	}
}

func testDeepAndWide(b *bench) {
	deep := filecopy.Path("d")
	for range 30 {
		deep = deep.Join("d")
	}
	b.put(deep.Join("bottom"), "deep")
	for i := range 120 {
		b.put(filecopy.Path(fmt.Sprintf("wide/f%03d", i)), fmt.Sprint(i))
	}
	b.run()
	b.same()
	b.must(b.source.Retire(b.ctx, "wide/f007", "20200101T000000Z-x-1"))
	b.put(deep.Join("bottom"), "deeper")
	set := b.run()
	if set.Files != 120 {
		b.Errorf("set = %+v", set)
	}
	b.same()
}

// populate makes a small tree.
func (b *bench) populate() {
	b.Helper()
	for _, p := range []filecopy.Path{"a", "d/b", "d/c", "d/e/f", "d/e/g", "k", "log"} {
		b.put(p, "first "+string(p))
	}
}

// change makes the next version of it: something new, changed and gone.
func (b *bench) change() {
	b.Helper()
	b.put("a", "second, and longer than what was there before")
	b.put("d/e/g", "second")
	b.put("d/new/h", "new")
	b.must(b.source.Retire(b.ctx, "d/b", "20200101T000000Z-x-1"))
	b.must(b.source.Retire(b.ctx, "k", "20200101T000000Z-x-1"))
}

func testIncrement(b *bench) {
	b.populate()
	first := b.run()
	b.change()
	second := b.run()
	if second.ID == first.ID || second.Files != 6 {
		b.Errorf("set = %+v after %+v", second, first)
	}
	b.same()
	b.must(b.source.Retire(b.ctx, "d", "20200101T000000Z-x-2"))
	b.run()
	b.same()
	for i := range 12 {
		b.put(filecopy.Path(fmt.Sprintf("layer/%d", i)), "x")
		b.run()
	}
	b.same()
	b.agrees()
}

// agrees wants the target to be as its manifest says, byte by byte.
func (b *bench) agrees() {
	b.Helper()
	out, err := b.rig.Mover(b.dir).Compare(b.ctx, b.job, true, func(d filecopy.Difference) error {
		b.Errorf("difference: %+v", d)
		return nil
	})
	if err != nil || out.Compared == 0 {
		b.Errorf("compare = %+v, %v", out, err)
	}
}

// testRenames renames files and directories, into new directories, over each other and in circles; a source that does not rename has no
// such changes.
func testRenames(b *bench) {
	if !b.source.Describe().Capabilities.RenameOver {
		return
	}
	b.populate()
	b.put("m/1", "one")
	b.put("m/2", "two")
	b.put("n/3", "three")
	b.run()
	move := func(from, to filecopy.Path) {
		b.Helper()
		b.must(b.source.Move(b.ctx, from, to))
	}
	move("a", "d/a")
	move("d/e", "e")
	b.put("e/f", "changed after the rename")
	b.put("e/i", "made after the rename")
	b.must(b.source.MakeDirectory(b.ctx, filecopy.Entry{Path: "fresh", Kind: filecopy.Directory, Attributes: b.own(plain(0o755))}))
	move("d/c", "fresh/c")
	move("m", "t")
	move("n", "m")
	move("t", "n")
	b.run()
	b.same()
	b.agrees()
	move("e", "d/e")
	b.put("e/f", "another in the old place")
	b.run()
	b.same()
	b.agrees()
}

// testKindsChange puts directories where files were, and files where directories were, in a source that has directories.
func testKindsChange(b *bench) {
	if !b.source.Describe().Capabilities.Directories {
		return
	}
	b.populate()
	b.run()
	b.must(b.source.Retire(b.ctx, "a", "20200101T000000Z-x-1"))
	b.must(b.source.Retire(b.ctx, "d", "20200101T000000Z-x-1"))
	b.put("a/now/a", "directory")
	b.put("d", "now a file")
	b.run()
	b.same()
	b.agrees()
}

// testAttributes changes attributes only, and wants no bytes to move.
func testAttributes(b *bench) {
	b.populate()
	b.run()
	a := b.own(plain(0o640))
	if b.source.Describe().Capabilities.Attributes.Has(filecopy.FieldXattrs) {
		a.Xattrs = []filecopy.Xattr{{Name: "user.origin", Value: []byte("east\x00\xff")}}
	}
	if b.source.Describe().Capabilities.Attributes.Has(filecopy.FieldACL) {
		a.ACL = []string{"user:ada:r--"}
		a.Mode = 0o644
	}
	b.must(b.source.SetAttributes(b.ctx, "a", a, filecopy.AllFields&^filecopy.FieldBlockSize))
	b.must(b.source.SetAttributes(b.ctx, "d/e", filecopy.Attributes{Mode: 0o700}, filecopy.FieldMode))
	b.run()
	b.same()
	times := plain(0)
	times.Modified += 7001
	b.must(b.source.SetAttributes(b.ctx, "d/c", times, filecopy.FieldModified))
	b.job.Relist = true
	b.run()
	b.same()
	b.agrees()
}
