package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
)

// heirloom is a target at which members follow each other.
type heirloom interface {
	filecopy.Target
	filecopy.Assembler
	filecopy.Rescuer
}

// counted counts the bytes that are written, and the files that are taken over.
type counted struct {
	heirloom
	bytes, rescued atomic.Int64
}

func (c *counted) Write(ctx context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	return c.heirloom.Write(ctx, h, p, &tallied{r, &c.bytes})
}

func (c *counted) Rescue(ctx context.Context, lot string, s filecopy.Sealed, e filecopy.Entry) (filecopy.Handle, error) {
	h, err := c.heirloom.Rescue(ctx, lot, s, e)
	if err == nil {
		c.rescued.Add(1)
	}
	return h, err
}

// Assembly gives the tree alone, where nothing can be taken over: so it is done at the target, and counted.
func (c *counted) Assembly(lot string) (filecopy.Target, error) {
	to, err := c.heirloom.Assembly(lot)
	return struct{ filecopy.Target }{to}, err
}

type tallied struct {
	from io.Reader
	n    *atomic.Int64
}

func (c *tallied) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// lineage is a job whose members are lost.
type lineage struct {
	*testing.T
	target *counted
	job    filecopy.Job
	// put writes a file of the source, and rot damages what is staged.
	put   func(path, content string)
	rot   func(h filecopy.Handle)
	shown func() map[string]string
	// staged are the files that lie in lots.
	staged func() int
	// files are what the source holds, and fresh those that were written since the last set.
	files, fresh map[string]string
}

// lineages are one on local trees, and two in memory: without and with snapshots, where new directories are put together out of sight.
func lineages(t *testing.T, test func(*lineage)) {
	t.Run("local", func(t *testing.T) { test(onDisk(t)) })
	for _, snapshots := range []bool{false, true} {
		t.Run(fmt.Sprintf("memory snapshots=%v", snapshots), func(t *testing.T) { test(inMemory(t, snapshots)) })
	}
}

func newLineage(t *testing.T, source filecopy.Store, target heirloom) *lineage {
	l := &lineage{T: t, target: &counted{heirloom: target}, files: map[string]string{}, fresh: map[string]string{}}
	l.job = filecopy.Job{Name: "job", Source: source, Target: l.target, Guard: filecopy.Guard{MaxDeletes: 100, MaxShare: 1}, Limits: filecopy.Limits{MinParallel: 1, MaxParallel: 1}}
	return l
}

func onDisk(t *testing.T) *lineage {
	p := newPair(t)
	target := open(t, p.target)
	l := newLineage(t, p.job.Source, target)
	staging := filepath.Join(filepath.Dir(p.target), ".target.understudy", "staging")
	l.put = func(path, content string) { p.write(t, path, content) }
	l.rot = func(h filecopy.Handle) {
		at := filepath.Join(staging, string(h))
		b, err := os.ReadFile(at)
		l.must(err)
		b[len(b)/2] ^= 1
		l.must(os.WriteFile(at, b, 0o600))
	}
	read := func(root string, each func(path string, b []byte)) {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && d.IsDir() {
				return nil
			}
			l.must(err)
			b, err := os.ReadFile(path)
			each(strings.TrimPrefix(path, root+"/"), b)
			return err
		})
		l.must(err)
	}
	l.shown = func() map[string]string {
		all := map[string]string{}
		read(p.target, func(path string, b []byte) { all[path] = string(b) })
		return all
	}
	l.staged = func() (n int) {
		read(staging, func(string, []byte) { n++ })
		return n
	}
	return l
}

func inMemory(t *testing.T, snapshots bool) *lineage {
	source, target := filecopytest.NewMemory("source", snapshots), filecopytest.NewMemory("target", false)
	l := newLineage(t, source, target)
	s := &scene{T: t}
	l.put = func(path, content string) {
		if dir := filecopy.Path(path).Dir(); dir != "" {
			l.must(source.MakeDirectory(t.Context(), filecopy.Entry{Path: dir, Kind: filecopy.Directory, Attributes: filecopy.Attributes{Mode: 0o755}}))
		}
		s.put(source, filecopy.Path(path), content)
	}
	l.rot = func(h filecopy.Handle) { l.must(target.DamageStaged(h)) }
	l.shown = func() map[string]string {
		all := map[string]string{}
		v, err := target.Open(t.Context(), filecopy.Pin{})
		l.must(err)
		l.must(v.List(t.Context(), "", func(e filecopy.Entry) error {
			if e.Kind != filecopy.File {
				return nil
			}
			r, err := v.Read(t.Context(), e, 0)
			l.must(err)
			b, err := io.ReadAll(r)
			all[string(e.Path)] = string(b)
			return err
		}))
		return all
	}
	l.staged = target.Staged
	return l
}

func (l *lineage) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// write changes files of the source: path and content in turn.
func (l *lineage) write(files ...string) {
	for i := 0; i < len(files); i += 2 {
		l.put(files[i], files[i+1])
		l.files[files[i]], l.fresh[files[i]] = files[i+1], files[i+1]
	}
}

// long is a content of several parts in memory.
func long(word string) string { return strings.Repeat(word+" ", 12) }

// populate writes a first set: files of the root and of directories, one of them empty.
func (l *lineage) populate() {
	l.write("a", long("one"), "b", "two", "d/c", long("three"), "d/e", "", "d/f", "five", "g", long("number six"))
}

// member is a mover with a data directory of its own, which keeps each line as soon as it has it, and is lost at a point of the journal.
func (l *lineage) member(lostAt int, at string) *Mover {
	m := New(l.TempDir())
	m.segment = 1
	points := 0
	m.hook = func(point string) error {
		if !strings.HasPrefix(point, at) {
			return nil
		}
		if points++; points == lostAt {
			return errHalted
		}
		return nil
	}
	return m
}

// sealed reads what all lists that are kept of a set say is sealed, by path.
func (l *lineage) sealed(number int64) map[string]item {
	l.Helper()
	v := vault{job: l.job.Name, keeper: l.target, cache: l.TempDir()}
	names, err := l.target.KeptNames(l.Context(), v.name(setPrefix(number)))
	l.must(err)
	all := map[string]item{}
	left := &leftList{ctx: l.Context(), vault: v, names: slices.DeleteFunc(names, func(n string) bool { return !strings.Contains(n, "/items/") })}
	for {
		it, ok, err := left.next()
		l.must(err)
		if !ok {
			return all
		}
		all[string(it.Path)] = it
	}
}

// ends runs a member to the end: the set is right, so many bytes were copied, and nothing is left of any lot, nor of any list but those of the set.
func (l *lineage) ends(m *Mover, bytes int64) {
	l.Helper()
	l.target.bytes.Store(0)
	_, err := m.Run(l.Context(), l.job, nil)
	l.must(err)
	l.over(bytes)
}

func (l *lineage) over(bytes int64) {
	l.Helper()
	if got := l.target.bytes.Load(); got != bytes {
		l.Errorf("%d bytes were copied, want %d", got, bytes)
	}
	clear(l.fresh)
	if got := l.shown(); !maps.Equal(got, l.files) {
		l.Errorf("shown are %q, want %q", got, l.files)
	}
	if n := l.staged(); n != 0 {
		l.Errorf("%d files are left in lots", n)
	}
	v := vault{job: l.job.Name, keeper: l.target}
	h, err := v.head(l.Context())
	l.must(err)
	want := []string{v.name(headName)}
	for _, layer := range h.Layers {
		for _, s := range layer.Segments {
			want = append(want, s.Name)
		}
	}
	slices.Sort(want)
	if names, err := l.target.KeptNames(l.Context(), "job"); err != nil || !slices.Equal(names, want) {
		l.Errorf("kept are %q, %v; want %q", names, err, want)
	}
}

func (l *lineage) isLost(m *Mover) bool {
	l.Helper()
	_, err := m.Run(l.Context(), l.job, nil)
	if err != nil && !errors.Is(err, errHalted) {
		l.Fatal(err)
	}
	return err != nil
}

// sizes adds up what was written since the last set, but what is sealed, and what the target shows already where sums tell.
func (l *lineage) sizes(sealed map[string]item) (n int64) {
	before := l.shown()
	for path, content := range l.fresh {
		was, there := before[path]
		same := there && was == content && l.job.Source.Describe().Capabilities.ServerSum
		if _, ok := sealed[path]; !ok && !same {
			n += int64(len(content))
		}
	}
	return n
}

// TestALostMembersFilesAreTakenOver loses a member at each line of its journal, of a first set and of a later one. One that knows nothing copies
// what was not sealed, and no byte more.
func TestALostMembersFilesAreTakenOver(t *testing.T) {
	lineages(t, func(l *lineage) {
		some := 0
		for round := 1; ; round++ {
			l.populate()
			l.write("a", long(fmt.Sprintf("round %d", round)), fmt.Sprintf("n%d/x", round), long("new"), fmt.Sprintf("n%d/y", round), "newer", "h", fmt.Sprint(round))
			if !l.isLost(l.member(round, "journal ")) {
				break
			}
			sealed := l.sealed(int64(round))
			l.target.rescued.Store(0)
			l.ends(l.member(0, ""), l.sizes(sealed))
			if got := l.target.rescued.Load(); got != int64(len(sealed)) {
				t.Errorf("lost at %d: %d files were taken over, %d were sealed", round, got, len(sealed))
			}
			if some += len(sealed); l.Failed() {
				l.Fatalf("lost at line %d of the journal", round)
			}
		}
		if some == 0 {
			l.Error("nothing was ever taken over")
		}
	})
}

// TestMembersAreLostOneAfterAnother loses each member some lines after the one before. Each loses what it had in its hands: one file that it copied, or
// took over.
func TestMembersAreLostOneAfterAnother(t *testing.T) {
	for _, each := range []int{9, 14, 23} {
		lineages(t, func(l *lineage) {
			l.populate()
			lost := int64(0)
			for l.isLost(l.member(each*int(lost+1), "journal ")) {
				if lost++; lost > 30 {
					l.Fatal("they get nowhere")
				}
			}
			all, most := int64(0), int64(len(long("number six")))
			for _, content := range l.files {
				all += int64(len(content))
			}
			if got := l.target.bytes.Load(); lost == 0 || got < all || got > all+lost*2*most {
				l.Errorf("%d members were lost, and %d bytes were copied for %d", lost, got, all)
			}
			l.over(l.target.bytes.Load())
		})
	}
}

// TestOnlyTheSameVersionIsTakenOver changes files after they were sealed, and lets staged ones rot: these are copied, and what became of the rest is not.
func TestOnlyTheSameVersionIsTakenOver(t *testing.T) {
	for _, readBack := range []bool{false, true} {
		lineages(t, func(l *lineage) {
			l.populate()
			l.job.ReadBack = readBack
			if !l.isLost(l.member(1, "ready")) {
				l.Fatal("the member was not lost")
			}
			sealed := l.sealed(1)
			if len(sealed) != len(l.files) {
				l.Fatalf("%d files were sealed", len(sealed))
			}
			l.write("a", long("ONE"), "d/h", "more")
			l.rot(sealed["g"].Sealed.Handle)
			l.target.bytes.Store(0)
			next := l.member(0, "")
			_, err := next.Stage(l.Context(), l.job, filecopy.PhaseReady, nil)
			l.must(err)
			// What had rotted was taken over before that was seen, and lies in the lot until the set is shown. Of the lost member nothing is left.
			if got := l.staged(); got != len(l.files)+1 {
				l.Errorf("%d files are staged", got)
			}
			lot, _, _ := strings.Cut(strings.TrimPrefix(string(sealed["a"].Sealed.Handle), "job-1/"), "/")
			if names, err := l.target.KeptNames(l.Context(), "job/set-1/"+lot); err != nil || len(names) > 0 {
				l.Errorf("left are %q, %v", names, err)
			}
			_, err = next.Run(l.Context(), l.job, nil)
			l.must(err)
			l.over(int64(len(long("ONE")) + len("more") + len(long("number six"))))
			if got := l.target.rescued.Load(); got < 4 {
				l.Errorf("%d files were taken over", got)
			}
		})
	}
}

// TestAnotherTreesVersionsMeanNothing puts another tree into the source's place, in which a version may be the same by chance.
func TestAnotherTreesVersionsMeanNothing(t *testing.T) {
	l, other := inMemory(t, false), inMemory(t, false)
	l.populate()
	l.isLost(l.member(1, "ready"))
	for _, p := range slices.Sorted(maps.Keys(l.sealed(1))) {
		other.write(p, strings.ToUpper(l.files[p]))
	}
	l.job.Source, l.files, l.fresh = other.job.Source, other.files, other.fresh
	l.ends(l.member(0, ""), l.sizes(nil))
	if got := l.target.rescued.Load(); got != 0 {
		l.Errorf("%d files were taken over", got)
	}
}

// TestWhatComesLateDoesNoHarm has the requests of a lost member come while the next one has taken its files over: writes, seals, removals, and the
// documents that it keeps. The set is shown without its source.
func TestWhatComesLateDoesNoHarm(t *testing.T) {
	lineages(t, func(l *lineage) {
		l.populate()
		ctx := l.Context()
		l.isLost(l.member(1, "ready"))
		sealed := l.sealed(1)
		documents := map[string]string{}
		names, err := l.target.KeptNames(ctx, "job/set-1/")
		l.must(err)
		for _, name := range names {
			documents[name] = l.kept(name)
		}
		late := func() {
			for _, it := range sealed {
				// They find nothing, or change what nobody asks for.
				h := it.Sealed.Handle
				_ = l.target.heirloom.Write(ctx, h, filecopy.Part{Size: 4}, strings.NewReader("late"))
				_, _ = l.target.Seal(ctx, h, it.Entry, it.Sum)
				l.must(l.target.Discard(ctx, string(h[:strings.IndexByte(string(h[len("job-1/"):]), '/')+len("job-1/")])))
			}
			for name, b := range documents {
				l.must(l.target.Keep(ctx, name, strings.NewReader(b)))
			}
		}
		l.target.bytes.Store(0)
		next := l.member(0, "")
		_, err = next.Stage(ctx, l.job, filecopy.PhaseReady, nil)
		l.must(err)
		late()
		end := l.job
		end.Source = nil
		_, err = New(l.TempDir()).Finish(ctx, end, nil)
		l.must(err)
		l.over(0)
	})
}

func (l *lineage) kept(name string) string {
	l.Helper()
	r, err := l.target.Kept(l.Context(), name)
	l.must(err)
	b, err := io.ReadAll(r)
	l.must(err)
	return string(b)
}

// withheld loses its member as it says that the set is ready, and has that document still on its way.
type withheld struct {
	heirloom
	document []byte
}

func (w *withheld) Keep(ctx context.Context, name string, r io.Reader) error {
	if !strings.HasSuffix(name, "/"+readyName) {
		return w.heirloom.Keep(ctx, name, r)
	}
	var err error
	if w.document, err = io.ReadAll(r); err == nil {
		err = errHalted
	}
	return err
}

// withholds loses a member that has the word that its set is ready still on its way, and gives that.
func (l *lineage) withholds() string {
	l.Helper()
	w := &withheld{heirloom: l.target.heirloom}
	l.target.heirloom = w
	if !l.isLost(l.member(0, "")) || len(w.document) == 0 {
		l.Fatal("the member was not lost")
	}
	l.target.heirloom = w.heirloom
	return string(w.document)
}

// TestAReadySetThatComesLateIsNone has the word that a set is ready come after another member took some of its files over, and was lost too, and the claim
// to it once more. Nobody shows that set: the next member makes its own.
func TestAReadySetThatComesLateIsNone(t *testing.T) {
	lineages(t, func(l *lineage) {
		l.populate()
		late := l.withholds()
		claims, err := l.target.KeptNames(l.Context(), "job/"+setName(1, claimsName))
		if err != nil || len(claims) != 1 {
			l.Fatalf("claims are %q, %v", claims, err)
		}
		claimed := l.kept(claims[0])
		if !l.isLost(l.member(9, "journal ")) {
			l.Fatal("the second was not lost")
		}
		l.must(l.target.Keep(l.Context(), claims[0], strings.NewReader(claimed)))
		l.must(l.target.Keep(l.Context(), "job/"+readyName, strings.NewReader(late)))
		next := l.member(0, "")
		standing, err := next.Standing(l.Context(), l.job)
		if err != nil || standing.Ready != nil {
			l.Errorf("standing = %+v, %v", standing, err)
		}
		end := l.job
		end.Source = nil
		if _, err := next.Finish(l.Context(), end, nil); !errors.Is(err, filecopy.ErrNothingReady) {
			l.Errorf("finish = %v", err)
		}
		_, err = next.Run(l.Context(), l.job, nil)
		l.must(err)
		l.over(l.target.bytes.Load())
	})
}

// TestAWriteThatComesBeforeIsSeen changes what is staged after it was sealed, and before anybody takes it over.
func TestAWriteThatComesBeforeIsSeen(t *testing.T) {
	lineages(t, func(l *lineage) {
		l.populate()
		l.isLost(l.member(1, "ready"))
		it := l.sealed(1)["a"]
		l.must(l.target.heirloom.Write(l.Context(), it.Sealed.Handle, filecopy.Part{Size: 4}, strings.NewReader("late")))
		l.ends(l.member(0, ""), int64(len(l.files["a"])))
	})
}

// TestAMemberThatComesBackBeginsAnew has a lost member come back with its data directory after another one took its files, and was lost too.
func TestAMemberThatComesBackBeginsAnew(t *testing.T) {
	lineages(t, func(l *lineage) {
		l.populate()
		first := l.member(20, "journal ")
		if !l.isLost(first) || len(l.sealed(1)) == 0 {
			l.Fatal("nothing was sealed")
		}
		if !l.isLost(l.member(1, "journal begun")) {
			l.Fatal("the second was not lost")
		}
		sealed := l.sealed(1)
		l.ends(first, l.sizes(sealed))
	})
}

// TestADroppedSetIsNotTakenOver gives up what a lost member staged.
func TestADroppedSetIsNotTakenOver(t *testing.T) {
	lineages(t, func(l *lineage) {
		l.populate()
		l.isLost(l.member(20, "journal "))
		l.must(New(l.TempDir()).Drop(l.Context(), l.job))
		if n := l.staged(); n != 0 {
			l.Errorf("%d files are left in lots", n)
		}
		if names, err := l.target.KeptNames(l.Context(), "job"); err != nil || len(names) > 0 {
			l.Errorf("kept are %q, %v", names, err)
		}
		l.ends(l.member(0, ""), l.sizes(nil))
	})
}

// TestWhatIsStagedIsKeptFromTimeToTime holds up one file, behind others that are sealed: these are kept all the same.
func TestWhatIsStagedIsKeptFromTimeToTime(t *testing.T) {
	l := onDisk(t)
	l.populate()
	held := &holding{heirloom: l.target.heirloom, kept: make(chan struct{})}
	l.target.heirloom = held
	m := New(t.TempDir())
	m.often = time.Millisecond
	m.hook = func(point string) error {
		if point == "journal kept" {
			held.once.Do(func() { close(held.kept) })
		}
		return nil
	}
	if !l.isLost(m) {
		t.Fatal("the member was not lost")
	}
	l.target.heirloom = held.heirloom
	sealed := l.sealed(1)
	if len(sealed) == 0 {
		t.Error("nothing is kept")
	}
	l.ends(l.member(0, ""), l.sizes(sealed))
}

// holding holds up the last file until something is kept, and then loses its member.
type holding struct {
	heirloom
	kept chan struct{}
	once sync.Once
}

func (h *holding) Write(ctx context.Context, to filecopy.Handle, p filecopy.Part, r io.Reader) error {
	if p.Size != int64(len(long("number six"))) {
		return h.heirloom.Write(ctx, to, p, r)
	}
	if err := await(ctx, h.kept); err != nil {
		return err
	}
	return errHalted
}
