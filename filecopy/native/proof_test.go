package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
)

// shelf is a target in memory that tells what is read back of it, and may do so badly.
type shelf struct {
	*filecopytest.Memory
	mu    sync.Mutex
	reads map[filecopy.Handle]int
	seals int
	// answer gives an error in place of a reading, and flaws is what the readers say they met.
	answer func(filecopy.Handle) error
	flaws  int
}

func newShelf(s *scene) *shelf {
	f := &shelf{Memory: s.target, reads: map[filecopy.Handle]int{}, answer: func(filecopy.Handle) error { return nil }}
	s.job.Target, s.job.ReadBack = f, true
	s.job.Limits.MaxParallel = 1
	return f
}

func (f *shelf) Seal(ctx context.Context, h filecopy.Handle, e filecopy.Entry, sum filecopy.Checksum) (filecopy.Sealed, error) {
	f.mu.Lock()
	f.seals++
	f.mu.Unlock()
	return f.Memory.Seal(ctx, h, e, sum)
}

func (f *shelf) ReadSealed(ctx context.Context, s filecopy.Sealed) (io.ReadCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads[s.Handle]++
	if err := f.answer(s.Handle); err != nil {
		return nil, err
	}
	r, err := f.Memory.ReadSealed(ctx, s)
	return &flawed{r, f.flaws}, err
}

type flawed struct {
	io.ReadCloser
	n int
}

func (f *flawed) Flaws() int { return f.n }

// TestWhatIsProvenIsNotReadAgain stops a run in the middle of reading back: the next reads the others, and stages none.
func TestWhatIsProvenIsNotReadAgain(t *testing.T) {
	s := newScene(t, true)
	f := newShelf(s)
	const files, proven = 8, 5
	for i := range files {
		s.put(s.source, filecopy.Path(fmt.Sprintf("f%d", i)), fmt.Sprintf("content %d", i))
	}
	stop, count := errors.New("stopped"), 0
	s.mover.hook = func(point string) error {
		if point == "prove sealed" {
			if count++; count > proven {
				return stop
			}
		}
		return nil
	}
	if err := s.tries(); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	s.mover.hook = nil
	clear(f.reads)
	set := s.run()
	if len(f.reads) != files-proven || f.seals != files || set.ReadBack != files {
		t.Errorf("%d files were staged; %d were read in the second run, of a set %+v", f.seals, len(f.reads), set)
	}
	s.sames()
	if set = s.run(); f.seals != files || set.ReadBack != 0 {
		t.Errorf("without a change %d files were read back", set.ReadBack)
	}
}

// TestLongListsAreProven stops when the first segment of the proven list is kept.
func TestLongListsAreProven(t *testing.T) {
	const files, segment = 3000, 1000
	target := &disk{Target: open(t, filepath.Join(t.TempDir(), "target"))}
	mover := New(t.TempDir())
	mover.segment = segment
	job := filecopy.Job{Name: "many", Source: generated{files}, Target: target, ReadBack: true}
	stop := errors.New("stopped")
	kept := false
	mover.hook = func(point string) error {
		if kept = kept || point == "prove kept"; kept && point == "prove sealed" {
			return stop
		}
		return nil
	}
	if _, err := mover.Run(t.Context(), job, nil); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	read := target.read.Swap(0)
	mover.hook = nil
	set, err := mover.Run(t.Context(), job, nil)
	if err != nil || set.ReadBack != files || set.Files != files || set.Bytes != 10*files {
		t.Errorf("set = %+v, %v", set, err)
	}
	// What was read and not noted yet when it stopped is read once more: as many as wait for the journal, and no part of what is kept.
	if again := target.read.Load(); read < segment-1 || read+again > files+segment/2 {
		t.Errorf("read %d files, and then %d", read, again)
	}
}

// TestWhatIsGoneIsStagedAnew reads back what is not there, what cannot be read, and what a busy store gives later.
func TestWhatIsGoneIsStagedAnew(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		times  int
		code   understudy.Code
		rotten int64
	}{
		"gone once":         {filecopy.ErrNotFound, 1, "", 1},
		"gone":              {filecopy.ErrNotFound, 9, "US734", 1},
		"rotten once":       {filecopy.ErrCorrupt, 1, "", 1},
		"rotten":            {filecopy.ErrCorrupt, 9, "US734", 1},
		"not readable once": {filecopy.ErrUnsupported, 1, "", 0},
		"not readable":      {filecopy.ErrUnsupported, 9, "US735", 0},
		"busy":              {filecopy.ErrBusy, 1, "", 0},
		"on fire":           {errors.New("the disk is on fire"), 1, "US600", 0},
	} {
		s := newScene(t, false)
		f := newShelf(s)
		s.put(s.source, "a", "content")
		var last filecopy.Progress
		f.answer = func(filecopy.Handle) error {
			if c.times--; c.times >= 0 {
				return c.err
			}
			return nil
		}
		set, err := s.mover.Run(t.Context(), s.job, func(p filecopy.Progress) { last = p })
		if c.code != "" {
			s.wants(c.code, func() error { return err })
			if now := s.target.Staged(); now == 0 {
				t.Errorf("%s: nothing is staged, so something is shown", name)
			}
			continue
		}
		if err != nil || set.Rotten != c.rotten || set.ReadBack != 1 || last.ReadBack != 7 || last.Bytes != 7 || last.Files != 1 {
			t.Errorf("%s: set = %+v, %v, progress = %+v", name, set, err, last)
		}
		s.sames()
	}
}

// TestBothSumsAreTold wants the error to name what was read at either side, and the path.
func TestBothSumsAreTold(t *testing.T) {
	s := newScene(t, false)
	f := newShelf(s)
	s.put(s.source, "a", "content")
	f.answer = func(h filecopy.Handle) error { return f.DamageStaged(h) }
	err := s.tries()
	s.wants("US734", func() error { return err })
	e := understudy.AsError(err)
	for _, want := range []filecopy.Checksum{filecopy.SumOf(0).Extend([]byte("content")), filecopy.SumOf(0).Extend([]byte("conuent"))} {
		if !strings.Contains(e.Why, want.String()) {
			t.Errorf("%q does not say %s", e.Why, want)
		}
	}
	if !strings.Contains(e.Summary, `"a"`) || e.Fix == "" {
		t.Errorf("error = %+v", e)
	}
}

// TestASourceThatRotsMeanwhileIsNamed stages a file anew from a source that gives other bytes than before, under the same version.
func TestASourceThatRotsMeanwhileIsNamed(t *testing.T) {
	s := newScene(t, false)
	f := newShelf(s)
	s.put(s.source, "a", "content")
	f.answer = func(h filecopy.Handle) error {
		return errors.Join(f.DamageStaged(h), s.source.Damage("a"))
	}
	s.wants("US606", s.tries)
}

// TestFlawsAreCounted adds up what readers met, over a stop as well.
func TestFlawsAreCounted(t *testing.T) {
	s := newScene(t, true)
	f := newShelf(s)
	f.flaws = 2
	s.put(s.source, "a", "content")
	s.put(s.source, "b", "content")
	stop := errors.New("stopped")
	seen := 0
	s.mover.hook = func(point string) error {
		if point == "prove sealed" {
			if seen++; seen == 2 {
				return stop
			}
		}
		return nil
	}
	if err := s.tries(); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	s.mover.hook = nil
	// Two of the first file, and two for each of both readings of the second.
	if set := s.run(); set.Flaws != 6 || set.Rotten != 0 {
		t.Errorf("set = %+v", set)
	}
}

// TestCarriedFilesAreReadBack lets a file rot that a carrier brought whole.
func TestCarriedFilesAreReadBack(t *testing.T) {
	s, _, d := carried(t, true)
	s.job.ReadBack = true
	spoilt := &spoiling{dock: d}
	s.job.Target = spoilt
	set := s.run()
	if set.ReadBack != 10 || set.Rotten != 1 || spoilt.rotten == "" {
		t.Errorf("set = %+v", set)
	}
	s.sames()
}

// spoiling lets the first file rot that is read back.
type spoiling struct {
	*dock
	once   sync.Once
	rotten filecopy.Handle
}

func (s *spoiling) ReadSealed(ctx context.Context, f filecopy.Sealed) (io.ReadCloser, error) {
	var err error
	s.once.Do(func() { s.rotten, err = f.Handle, s.DamageStaged(f.Handle) })
	if err != nil {
		return nil, err
	}
	return s.dock.ReadSealed(ctx, f)
}

// TestReadingBackKeepsTheLimit counts what is read back against the bandwidth: twice the bytes take twice the time.
func TestReadingBackKeepsTheLimit(t *testing.T) {
	p := newPair(t)
	p.job.ReadBack = true
	p.write(t, "a", strings.Repeat("x", 3*chunk))
	now := time.Now()
	p.job.Clock = func() time.Time { return now }
	p.job.Limits.Bandwidth = []filecopy.Window{{BytesPerSecond: 8 * chunk}}
	began := time.Now()
	p.run(t)
	// One chunk is free at the beginning; five more take five eighths of a second. Copying alone would take two.
	if took := time.Since(began); took < 500*time.Millisecond {
		t.Errorf("it took %v", took)
	}
}
