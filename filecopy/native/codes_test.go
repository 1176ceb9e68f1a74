package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/local"
)

// scene is a job between two stores in memory.
type scene struct {
	*testing.T
	source, target *filecopytest.Memory
	mover          *Mover
	job            filecopy.Job
}

func newScene(t *testing.T, snapshots bool) *scene {
	s := &scene{T: t, source: filecopytest.NewMemory("source", snapshots), target: filecopytest.NewMemory("target", false)}
	s.mover = New(t.TempDir())
	s.job = filecopy.Job{Name: "job", Source: s.source, Target: s.target, Guard: filecopy.Guard{MaxDeletes: 100, MaxShare: 1}}
	return s
}

// put writes a file into a store.
func (s *scene) put(to *filecopytest.Memory, p filecopy.Path, content string) {
	s.Helper()
	if err := put(to, p, content); err != nil {
		s.Fatal(err)
	}
}

func put(to *filecopytest.Memory, p filecopy.Path, content string) error {
	ctx := context.Background()
	e := filecopy.Entry{Path: p, Kind: filecopy.File, Size: int64(len(content)), Attributes: filecopy.Attributes{Mode: 0o644, Modified: 1}}
	h, err := to.Begin(ctx, "elsewhere", e)
	if err == nil {
		err = to.Write(ctx, h, filecopy.Part{Size: e.Size}, strings.NewReader(content))
	}
	if err != nil {
		return err
	}
	sealed, err := to.Seal(ctx, h, e, filecopy.Checksum{})
	if err == nil {
		_, err = to.Publish(ctx, sealed, e)
	}
	return err
}

func (s *scene) run() filecopy.Set {
	s.Helper()
	set, err := s.mover.Run(s.Context(), s.job, nil)
	if err != nil {
		s.Fatal(err)
	}
	return set
}

// wants runs something that must fail with a code that has a page.
func (s *scene) wants(code understudy.Code, call func() error) {
	s.Helper()
	err := call()
	var e *understudy.Error
	if !errors.As(err, &e) || e.Code != code {
		s.Errorf("error = %v, want %s", err, code)
	}
	if _, ok := understudy.Explain(code); !ok {
		s.Errorf("%s has no page", code)
	}
}

func (s *scene) tries() error {
	_, err := s.mover.Run(s.Context(), s.job, nil)
	return err
}

// refusing is a target that fails one call.
type refusing struct {
	*filecopytest.Memory
	publish error
	name    error
}

func (r *refusing) Publish(ctx context.Context, s filecopy.Sealed, e filecopy.Entry) (string, error) {
	if r.publish != nil {
		return "", r.publish
	}
	return r.Memory.Publish(ctx, s, e)
}

func (r *refusing) CheckName(p filecopy.Path) error {
	return errors.Join(r.name, r.Memory.CheckName(p))
}

func TestFailuresOfStoresHaveCodes(t *testing.T) {
	for code, target := range map[understudy.Code]*refusing{
		"US600": {publish: errors.New("the disk is on fire")},
		"US607": {publish: filecopy.ErrChanged},
		"US608": {name: filecopy.ErrName},
		"US619": {publish: fs.ErrPermission},
	} {
		s := newScene(t, false)
		s.put(s.source, "a", "content")
		target.Memory = s.target
		s.job.Target = target
		s.wants(code, s.tries)
		target.publish, target.name = nil, nil
		s.run()
	}
}

// TestAFullStoreSaysWhatToDo wants the words of the store where it says which of its bounds is used up, and the run to go on after that.
func TestAFullStoreSaysWhatToDo(t *testing.T) {
	entries := &filecopy.Full{Bound: "a directory takes no more entries", Fix: "raise `max-items`"}
	for _, c := range []struct {
		cause error
		bound string
		fix   string
	}{
		{fmt.Errorf("write: %w", filecopy.ErrFull), "the store is full", "make room, or raise the quota, then retry"},
		{fmt.Errorf("rename: %w", errors.Join(entries, errors.New("limit=200"))), entries.Bound, "raise `max-items`, then retry"},
	} {
		s := newScene(t, false)
		s.put(s.source, "a", "content")
		target := &refusing{Memory: s.target, publish: c.cause}
		s.job.Target = target
		err := s.tries()
		s.wants("US621", func() error { return err })
		e := understudy.AsError(err)
		if e.Summary != `publish "a" failed: `+c.bound || !strings.HasPrefix(e.Fix, c.fix) || !errors.Is(err, filecopy.ErrFull) {
			t.Errorf("%v: fix: %s", err, e.Fix)
		}
		target.publish = nil
		s.run()
	}
}

func TestMissingAndReplacedSourcesAreRefused(t *testing.T) {
	p := newPair(t)
	p.write(t, "a", "one")
	p.run(t)
	s := &scene{T: t, mover: p.mover, job: p.job}
	if err := os.Rename(p.source, p.source+".away"); err != nil {
		t.Fatal(err)
	}
	s.wants("US602", s.tries)
	if err := os.Mkdir(p.source, 0o755); err != nil {
		t.Fatal(err)
	}
	p.write(t, "b", "other")
	s.wants("US603", s.tries)
	if got := p.content(t, "a"); got != "one" {
		t.Errorf("a = %q", got)
	}
	root, err := p.job.Source.Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.job.Accept = filecopy.Acceptance{Replaced: root.Identity, By: "ada"}
	set := s.run()
	if set.Files != 1 || p.content(t, "b") != "other" {
		t.Errorf("set = %+v", set)
	}
}

func TestDamagedManifestsAreRefused(t *testing.T) {
	for _, name := range []string{"job/head.json", "job/set-1/layer/00000000.seg"} {
		s := newScene(t, false)
		s.put(s.source, "a", "content")
		s.run()
		raw := s.kept(name)
		for _, i := range []int{0, len(raw) / 2, len(raw) - 1} {
			raw[i] ^= 1
			if err := s.target.Keep(t.Context(), name, strings.NewReader(string(raw))); err != nil {
				t.Fatal(err)
			}
			s.mover = New(t.TempDir())
			s.wants("US601", s.tries)
			raw[i] ^= 1
		}
		if err := s.target.Keep(t.Context(), name, strings.NewReader(string(raw))); err != nil {
			t.Fatal(err)
		}
		s.run()
	}
}

func (s *scene) kept(name string) []byte {
	s.Helper()
	r, err := s.target.Kept(s.Context(), name)
	if err != nil {
		s.Fatal(err)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		s.Fatal(err)
	}
	return raw
}

func TestJobsAreChecked(t *testing.T) {
	s := newScene(t, false)
	s.job.Name = "../else"
	s.wants("US609", s.tries)
	s.job.Name, s.job.Source = "job", nil
	s.wants("US609", s.tries)
	s.wants("US612", func() error { _, err := s.mover.Finish(t.Context(), s.job, nil); return err })
	s.wants("US612", func() error {
		_, err := s.mover.Compare(t.Context(), s.job, false, func(filecopy.Difference) error { return nil })
		return err
	})
	d, err := s.mover.open(s.job, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.job.Source = s.source
	s.wants("US610", s.tries)
	d.close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.mover = New(filepath.Join(file, "below"))
	s.wants("US611", s.tries)
}

// halt makes the next run stop at a point.
func (s *scene) halt(point string) {
	s.Helper()
	stop := errors.New("stopped")
	s.mover.hook = func(at string) error {
		if at == point {
			return stop
		}
		return nil
	}
	if err := s.tries(); !errors.Is(err, stop) {
		s.Fatalf("run = %v, want to stop at %s", err, point)
	}
	s.mover.hook = nil
}

func TestReadySetsAreGuarded(t *testing.T) {
	s := newScene(t, false)
	s.put(s.source, "a", "content")
	s.halt("head")
	s.wants("US613", func() error { return s.mover.Drop(t.Context(), s.job) })
	var rd ready
	v := vault{job: "job", keeper: s.target}
	if _, err := v.document(t.Context(), showingName(1), &rd); err != nil {
		t.Fatal(err)
	}
	rd.Base = "another set"
	if err := v.keepDocument(t.Context(), showingName(1), rd); err != nil {
		t.Fatal(err)
	}
	s.wants("US614", s.tries)
	rd.Base = ""
	if err := v.keepDocument(t.Context(), showingName(1), rd); err != nil {
		t.Fatal(err)
	}
	s.run()
}

// losing is a target that loses what is staged when publishing begins, or what is to be renamed.
type losing struct {
	*filecopytest.Memory
	lot  string
	once sync.Once
	from filecopy.Path
}

func (l *losing) Publish(ctx context.Context, s filecopy.Sealed, e filecopy.Entry) (string, error) {
	var err error
	l.once.Do(func() {
		if l.lot != "" {
			err = l.Discard(ctx, l.lot)
		}
	})
	if err != nil {
		return "", err
	}
	return l.Memory.Publish(ctx, s, e)
}

func (l *losing) Move(ctx context.Context, from, to filecopy.Path) error {
	if l.from == from {
		if err := l.Retire(ctx, from, "20200101T000000Z-x-1"); err != nil {
			return err
		}
	}
	return l.Memory.Move(ctx, from, to)
}

func TestLostStagedFilesAreCopiedAgain(t *testing.T) {
	s := newScene(t, false)
	s.put(s.source, "a", "content")
	s.put(s.source, "b", "more")
	s.job.Target = &losing{Memory: s.target, lot: "job-1"}
	s.run()
	s.job.Target = s.target
	out, err := s.mover.Compare(t.Context(), s.job, true, func(d filecopy.Difference) error {
		t.Errorf("difference: %+v", d)
		return nil
	})
	if err != nil || out.Read != 11 {
		t.Errorf("compare = %+v, %v", out, err)
	}
	s.put(s.source, "a", "other content")
	s.halt("show")
	// Without the source nothing can be copied again.
	if err := s.target.Discard(t.Context(), "job-2"); err != nil {
		t.Fatal(err)
	}
	s.target.Replace()
	s.wants("US616", func() error { _, err := s.mover.Finish(t.Context(), s.job, nil); return err })
}

func TestLostRenamesAreNamed(t *testing.T) {
	s := newScene(t, true)
	s.put(s.source, "a", "content")
	s.put(s.source, "b", "content")
	s.run()
	if err := s.source.Move(t.Context(), "a", "c"); err != nil {
		t.Fatal(err)
	}
	s.job.Target = &losing{Memory: s.target, from: "a"}
	s.wants("US615", s.tries)
}

// unwilling is a target that answers like stores for which there is nothing to look for below a file.
type unwilling struct{ *filecopytest.Memory }

func (u unwilling) Move(ctx context.Context, from, to filecopy.Path) error {
	err := u.Memory.Move(ctx, from, to)
	if errors.Is(err, filecopy.ErrNotFound) {
		err = filecopy.ErrChanged
	}
	return err
}

// TestRenamesThatHappenedAreDone stops when all is shown, a file in the place of a directory out of which something was renamed too, and takes
// the run up: the rename is found to have happened, in whatever words the store refuses it.
func TestRenamesThatHappenedAreDone(t *testing.T) {
	s := newScene(t, true)
	if err := s.source.MakeDirectory(t.Context(), filecopy.Entry{Path: "d", Kind: filecopy.Directory}); err != nil {
		t.Fatal(err)
	}
	s.put(s.source, "d/a", "content")
	s.run()
	if err := errors.Join(s.source.Move(t.Context(), "d/a", "b"), s.source.Retire(t.Context(), "d", "20200101T000000Z-x-1")); err != nil {
		t.Fatal(err)
	}
	s.put(s.source, "d", "a file now")
	s.job.Target = unwilling{s.target}
	s.halt("head")
	s.run()
	view, err := s.target.Open(t.Context(), filecopy.Pin{})
	if err != nil {
		t.Fatal(err)
	}
	for p, size := range map[filecopy.Path]int64{"b": 7, "d": 10} {
		if e, err := view.Stat(t.Context(), p); err != nil || e.Kind != filecopy.File || e.Size != size {
			t.Errorf("%s is %+v, %v", p, e, err)
		}
	}
	// What is in the way from the first is told.
	if err := s.source.Move(t.Context(), "b", "c"); err != nil {
		t.Fatal(err)
	}
	s.put(s.target, "c", "foreign")
	if err := s.tries(); !errors.Is(err, filecopy.ErrChanged) {
		t.Errorf("a foreign file in the way gives %v", err)
	}
}

// TestCrashAtEveryPoint stops at every append to a journal and every point of a run, and takes the run up again: with the store's proof, and with reading back.
func TestCrashAtEveryPoint(t *testing.T) {
	for _, back := range []bool{false, true} {
		s := newScene(t, true)
		s.job.ReadBack = back
		s.crashes()
	}
}

// crashes stops runs at later and later points until one comes to its end.
func (s *scene) crashes() {
	s.Helper()
	for at := 1; ; at++ {
		for _, p := range []filecopy.Path{"a", "b", "c"} {
			s.put(s.source, p, strings.Repeat(string(p), 20+at))
		}
		count, stop := 0, errors.New("stopped")
		s.mover.hook = func(string) error {
			if count++; count >= at {
				return stop
			}
			return nil
		}
		err := s.tries()
		s.mover.hook = nil
		if err == nil {
			if at < 10 {
				s.Errorf("only %d points", at)
			}
			return
		}
		if !errors.Is(err, stop) {
			s.Fatal(err)
		}
		set := s.run()
		if set.Files != 3 || set.Bytes != int64(3*(20+at)) {
			s.Fatalf("set = %+v after a stop at %d", set, at)
		}
		if n := s.target.Staged(); n != 0 {
			s.Fatalf("%d staged files are left", n)
		}
	}
}

// counting counts what is read and listed.
type counting struct {
	*filecopytest.Memory
	lists, reads atomic.Int64
}

func (c *counting) Open(ctx context.Context, at filecopy.Pin) (filecopy.View, error) {
	v, err := c.Memory.Open(ctx, at)
	return &countingView{v, c}, err
}

type countingView struct {
	filecopy.View
	of *counting
}

func (v *countingView) List(ctx context.Context, dir filecopy.Path, found func(filecopy.Entry) error) error {
	v.of.lists.Add(1)
	return v.View.List(ctx, dir, found)
}

func (v *countingView) Read(ctx context.Context, e filecopy.Entry, offset int64) (io.ReadCloser, error) {
	v.of.reads.Add(1)
	return v.View.Read(ctx, e, offset)
}

// TestResumeListsNothingAndSendsNoPartTwice stops in the middle of a file of many parts.
func TestResumeListsNothingAndSendsNoPartTwice(t *testing.T) {
	s := newScene(t, false)
	const parts = 10
	s.put(s.source, "a", strings.Repeat("0123456789abcdef", parts))
	source := &counting{Memory: s.source}
	s.job.Source = source
	appended, stop := 0, errors.New("stopped")
	s.mover.hook = func(point string) error {
		if point == "journal part" {
			if appended++; appended > parts/2 {
				return stop
			}
		}
		return nil
	}
	if err := s.tries(); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	if n := source.lists.Swap(0); n != 1 {
		t.Errorf("listed %d times", n)
	}
	source.reads.Store(0)
	s.mover.hook = nil
	s.run()
	if lists, reads := source.lists.Load(), source.reads.Load(); lists != 0 || reads != parts-parts/2 {
		t.Errorf("listed %d times, read %d parts", lists, reads)
	}
}

// TestRenamesMoveNoBytes renames a directory, touches a file and wants no byte to be read.
func TestRenamesAndTouchesMoveNoBytes(t *testing.T) {
	s := newScene(t, true)
	if err := s.source.MakeDirectory(t.Context(), filecopy.Entry{Path: "d", Kind: filecopy.Directory}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []filecopy.Path{"d/a", "d/b", "c"} {
		s.put(s.source, p, "content of "+string(p))
	}
	source := &counting{Memory: s.source}
	s.job.Source = source
	s.run()
	if err := s.source.Move(t.Context(), "d", "e"); err != nil {
		t.Fatal(err)
	}
	if err := s.source.SetAttributes(t.Context(), "c", filecopy.Attributes{Mode: 0o600}, filecopy.FieldMode); err != nil {
		t.Fatal(err)
	}
	source.lists.Store(0)
	source.reads.Store(0)
	set := s.run()
	if lists, reads := source.lists.Load(), source.reads.Load(); lists != 0 || reads != 0 || set.Files != 3 {
		t.Errorf("listed %d times, read %d files; set %+v", lists, reads, set)
	}
}

// TestWhatATargetCannotHoldComesBack copies to a store without owners, and back.
func TestWhatATargetCannotHoldComesBack(t *testing.T) {
	s := newScene(t, false)
	s.put(s.source, "a", "content")
	want := filecopy.Attributes{Owner: "ada", Group: "etl", Mode: 0o640, ACL: []string{"user:bob:r--"}, Replication: 3, StoragePolicy: "COLD", Modified: 1234}
	if err := s.source.SetAttributes(t.Context(), "a", want, filecopy.AllFields); err != nil {
		t.Fatal(err)
	}
	poor, err := local.New(local.Config{Root: filepath.Join(t.TempDir(), "poor"), NoOwners: true})
	if err != nil {
		t.Fatal(err)
	}
	s.job.Target = poor
	s.run()
	back := filecopy.Job{Name: "back", Source: poor, Target: s.target, Origin: "job"}
	if _, err := s.mover.Run(t.Context(), back, nil); err != nil {
		t.Fatal(err)
	}
	view, err := s.target.Open(t.Context(), filecopy.Pin{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := view.Stat(t.Context(), "a")
	if err != nil || differing(e.Attributes, want, compared&^poor.Describe().Capabilities.Attributes) != 0 || e.Modified != 1234 {
		t.Errorf("attributes came back as %+v, %v", e.Attributes, err)
	}
}

// stingy is a target that gives entries to two users alone.
type stingy struct{ *filecopytest.Memory }

func (stingy) Gives(_ context.Context, owner, _ string) error {
	if owner == "mover" || owner == "" {
		return nil
	}
	return fs.ErrPermission
}

// TestFilesThatCannotBeGivenAreNotCopied wants a refusal before anything is staged, by the names that the files would have at the target; the root
// that is left alone does not count.
func TestFilesThatCannotBeGivenAreNotCopied(t *testing.T) {
	s := newScene(t, false)
	s.job.Target, s.job.LeaveRoot = stingy{s.target}, true
	s.put(s.source, "a", "content")
	own := func(p filecopy.Path, owner string) {
		if err := s.source.SetAttributes(t.Context(), p, filecopy.Attributes{Owner: owner, Group: "etl"}, filecopy.FieldOwner|filecopy.FieldGroup); err != nil {
			t.Fatal(err)
		}
	}
	own("", "root")
	own("a", "app")
	_, err := s.mover.Run(t.Context(), s.job, nil)
	e := understudy.AsError(err)
	if e == nil || e.Code != "US738" || !strings.Contains(e.Summary, `"a" belongs to app:etl`) || e.Fix == "" {
		t.Fatalf("error = %v, want US738", err)
	}
	s.job.Principals.Users = map[string]string{"app": "mover"}
	if set := s.run(); set.Files != 1 {
		t.Errorf("the set is %+v", set)
	}
}
