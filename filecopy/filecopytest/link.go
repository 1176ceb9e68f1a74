package filecopytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// Link is a tree of a store that is reached over a way that can be cut, by somebody whose rights can be taken away.
type Link struct {
	// Over is the tree by that way, Aside the same tree by another, and by somebody who keeps all rights.
	Over, Aside filecopy.Target
	// CutAfter cuts the way, or freezes it, once so many more bytes have gone to the store, or back from there, and closes what it gives. Heal mends
	// the way.
	CutAfter func(back bool, bytes int64) <-chan struct{}
	Heal     func()
	// Revoke takes the right to write from who comes over the way, or also that to read, and Grant gives both back.
	Revoke func(reading bool) error
	Grant  func() error
}

// strained is a link with a tree in memory at its other end.
type strained struct {
	*bench
	link Link
	// back says that the store is the source, large is the size of a file of several parts.
	back  bool
	large int64
}

// RunLink cuts the way to a store, and from it, in the middle of a large file: for a moment, which the run lives through, and for longer than it is
// patient, when it ends and a later one goes on. It takes rights away amid a run, and gives them back. Readers see only whole files of the last set
// until a set is being shown, and whole files ever.
func RunLink(t *testing.T, mover func(dir string) filecopy.Mover, open func(t *testing.T) Link) {
	bothWays(t, mover, open, func(s *strained) {
		s.linkIsCut()
		s.rightIsRevoked()
		if !s.back {
			s.whileShown(s.cut("fifth"), s.revoked("sixth"))
		}
	})
}

// RunFrozen freezes the way to a store, and from it, as RunLink cuts it, which is what CutAfter and Heal are to do: nothing moves on its connections,
// and none of them is closed.
func RunFrozen(t *testing.T, mover func(dir string) filecopy.Mover, open func(t *testing.T) Link) {
	bothWays(t, mover, open, func(s *strained) {
		s.linkIsCut()
		if !s.back {
			s.whileShown(s.cut("fourth"))
		}
	})
}

// bothWays does something with a link whose store is the target, and with one whose store is the source, when a first set was copied over it.
func bothWays(t *testing.T, mover func(dir string) filecopy.Mover, open func(t *testing.T) Link, do func(*strained)) {
	for name, back := range map[string]bool{"ToTheStore": false, "FromTheStore": true} {
		t.Run(name, func(t *testing.T) {
			l := open(t)
			s := &strained{link: l, back: back, large: l.Aside.Describe().Capabilities.PartSize(1) * 3 / 2}
			memory := func(*testing.T) filecopy.Target {
				// From snapshots, so that what is new is put together out of sight where the store can.
				m := NewMemory("memory", true)
				m.can.PartSize = nil
				return m
			}
			aside := func(*testing.T) filecopy.Target { return l.Aside }
			rig := Rig{Source: memory, Target: aside, Mover: mover, Fields: filecopy.FieldMode}
			if back {
				rig.Source, rig.Target = rig.Target, memory
			}
			s.bench = rig.bench(t)
			s.job.Limits.MaxParallel = 4
			s.over()
			s.version("first")
			s.run()
			do(s)
		})
	}
}

// over leads the job over the way.
func (s *strained) over() {
	if s.back {
		s.job.Source = s.link.Over
		return
	}
	s.job.Target = s.link.Over
}

// grow puts a version of a large file into the source, past the way.
func (s *strained) grow(n string) {
	s.Helper()
	s.must(pour(s.ctx, s.source, "d/large", strings.Repeat(n+". ", int(s.large)/len(n+". ")+1)[:s.large], s.own(plain(0o644))))
}

// version puts a version of small files into the source, past the way, and some more in a new directory.
func (s *strained) version(n string) {
	s.Helper()
	for i := range 4 {
		s.must(pour(s.ctx, s.source, filecopy.Path(fmt.Sprintf("new-%s/e%d/small", n, i)), "the first of them", s.own(plain(0o644))))
	}
	for i := range 6 {
		s.must(pour(s.ctx, s.source, filecopy.Path(fmt.Sprintf("e%d/small", i)), n+" of the small ones", s.own(plain(0o644))))
	}
	s.must(pour(s.ctx, s.source, "e0/zero", "", s.own(plain(0o644))))
}

// linkIsCut cuts the way with the large file in flight.
func (s *strained) linkIsCut() {
	s.version("second")
	s.grow("second")
	cut := s.link.CutAfter(s.back, s.large/2)
	mended := make(chan struct{})
	go func() {
		defer close(mended)
		<-cut
		s.link.Heal()
	}()
	s.run()
	<-mended
	s.same()
	shown := s.tree(s.target)
	s.version("third")
	s.grow("third")
	cut = s.link.CutAfter(s.back, s.large/2)
	s.ends("US600", understudy.KindRetry, nil)
	<-cut
	s.untouched(shown)
	s.link.Heal()
	s.run()
	s.same()
}

// rightIsRevoked takes the right away while files are staged.
func (s *strained) rightIsRevoked() {
	shown := s.tree(s.target)
	s.version("fourth")
	amid := &during{hidden: s.hides(), writing: 2, do: func() { s.try(s.link.Revoke(s.back)) }}
	s.job.Target = amid.over(s.job.Target)
	s.ends("US619", understudy.KindDenied, fs.ErrPermission)
	s.untouched(shown)
	s.must(s.link.Grant())
	s.job.Target = s.target
	s.over()
	s.run()
	s.same()
	s.agrees()
}

// hides says whether new directories go to the store as a whole, from a source that is held still.
func (s *strained) hides() bool {
	_, ok := s.link.Over.(filecopy.Assembler)
	return ok && !s.back
}

// harm is done to a version while it is shown, and undone when the run has ended with a code.
type harm struct {
	version  string
	do, undo func() error
	code     understudy.Code
	kind     understudy.ErrorKind
	want     error
}

func (s *strained) cut(version string) harm {
	return harm{version, s.link.CutNow, s.link.healed, "US600", understudy.KindRetry, nil}
}

func (s *strained) revoked(version string) harm {
	return harm{version, func() error { return s.link.Revoke(false) }, s.link.Grant, "US619", understudy.KindDenied, fs.ErrPermission}
}

// whileShown has the way cut, or the right revoked, in the middle of showing a set.
func (s *strained) whileShown(all ...harm) {
	for _, harm := range all {
		old := maps.Clone(s.tree(s.target))
		s.version(harm.version)
		amid := &during{hidden: s.hides(), showing: 4, do: func() { s.try(harm.do()) }}
		s.job.Target = amid.over(s.link.Over)
		s.ends(harm.code, harm.kind, harm.want)
		s.must(harm.undo())
		s.mixed(0, old, s.tree(s.source))
		s.over()
		s.run()
		s.same()
	}
}

// CutNow cuts the way at once.
func (l Link) CutNow() error {
	<-l.CutAfter(false, 0)
	return nil
}

func (l Link) healed() error {
	l.Heal()
	return nil
}

// try is must for the mover's goroutines.
func (s *strained) try(err error) {
	if err != nil {
		s.Error(err)
	}
}

// freshDirectory is how an error names a directory of a version, which may be what was refused.
var freshDirectory = regexp.MustCompile(`"new-[a-z]+(/e\d+)?"`)

// ends wants the run to end with a code, and to name the store's place that refused.
func (s *strained) ends(code understudy.Code, kind understudy.ErrorKind, want error) {
	s.Helper()
	_, err := s.rig.Mover(s.dir).Run(s.ctx, s.job, nil)
	s.Logf("%v", err)
	var coded *understudy.Error
	if !errors.As(err, &coded) || coded.Code != code || coded.Kind != kind || want != nil && !errors.Is(err, want) {
		s.Fatalf("the run ended with %v, want %s", err, code)
	}
	if _, ok := understudy.Explain(code); !ok {
		s.Errorf("%s has no page", code)
	}
	if !strings.Contains(err.Error(), "d/large") && !strings.Contains(err.Error(), "/small") && !strings.Contains(err.Error(), "/zero") && !freshDirectory.MatchString(err.Error()) {
		s.Errorf("no path is named in %v", err)
	}
}

// during calls once when so many parts are being written to a target, or so many files are being shown; what comes later waits for that.
type during struct {
	writing, showing int64
	// hidden has it wait until a file was begun, or put, where new directories are put together out of sight.
	hidden                    bool
	writes, shown, begun, put atomic.Int64
	do                        func()
	once                      sync.Once
}

// over puts it before a target.
func (d *during) over(to filecopy.Target) filecopy.Target {
	return Wrap(to, func(to filecopy.Target, hidden bool) filecopy.Target { return &watched{to, d, hidden} }, nil)
}

func (d *during) reaches(count *atomic.Int64, at int64, hidden *atomic.Int64) {
	if n := count.Add(1); at > 0 && n >= at && (!d.hidden || hidden.Load() > 0) {
		d.once.Do(d.do)
	}
}

type watched struct {
	filecopy.Target
	by     *during
	hidden bool
}

func (w *watched) Begin(ctx context.Context, lot string, e filecopy.Entry) (filecopy.Handle, error) {
	if w.hidden {
		w.by.begun.Add(1)
	}
	return w.Target.Begin(ctx, lot, e)
}

func (w *watched) Write(ctx context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	w.by.reaches(&w.by.writes, w.by.writing, &w.by.begun)
	return w.Target.Write(ctx, h, p, r)
}

func (w *watched) Publish(ctx context.Context, sealed filecopy.Sealed, e filecopy.Entry) (string, error) {
	if w.hidden {
		w.by.put.Add(1)
	}
	w.by.reaches(&w.by.shown, w.by.showing, &w.by.put)
	return w.Target.Publish(ctx, sealed, e)
}
