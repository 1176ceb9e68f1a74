package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
)

// dock is a store in memory to which others can bring files.
type dock struct {
	*filecopytest.Memory
	adopted atomic.Int64
}

func (d *dock) Berth(lot string, e filecopy.Entry) (filecopy.Handle, error) {
	if strings.HasPrefix(e.Path.Base(), "odd") {
		return "", filecopy.ErrUnsupported
	}
	return d.Begin(context.Background(), lot, e)
}

func (d *dock) Adopt(context.Context, filecopy.Handle) error {
	d.adopted.Add(1)
	return nil
}

// porter brings files one by one, and does to some of them what a careless porter does.
type porter struct {
	refuses bool
	// spoil changes what is brought; nil brings nothing.
	spoil map[filecopy.Path]func(string) string
	// leave omits a file.
	leave []filecopy.Path
	after func() error
	calls []string
}

func (p *porter) Takes(int64, int64) (bool, string) { return !p.refuses, "because" }

func (p *porter) Carry(ctx context.Context, l filecopy.Load, report func(filecopy.Carried)) error {
	p.calls = append(p.calls, "carry "+l.Name)
	if err := l.Remember(ctx, []byte("at work")); err != nil {
		return err
	}
	if note, err := l.Recall(ctx); err != nil || string(note) != "at work" {
		return fmt.Errorf("note = %q, %w", note, err)
	}
	view, err := l.Source.Open(ctx, l.Pin)
	if err != nil {
		return err
	}
	n := filecopy.Carried{Said: "well"}
	err = l.Each(ctx, func(e filecopy.Entry, h filecopy.Handle) error {
		if slices.Contains(p.leave, e.Path) {
			return nil
		}
		r, err := view.Read(ctx, e, 0)
		if err != nil {
			return err
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		content := string(b)
		if spoil := p.spoil[e.Path]; spoil != nil {
			content = spoil(content)
		}
		n.Files, n.Bytes = n.Files+1, n.Bytes+int64(len(b))
		return l.Target.Write(ctx, h, filecopy.Part{Size: int64(len(content))}, strings.NewReader(content))
	})
	report(n)
	if err == nil && p.after != nil {
		err = p.after()
	}
	return err
}

func (p *porter) Drop(_ context.Context, l filecopy.Load) error {
	p.calls = append(p.calls, "drop "+l.Lot)
	return nil
}

// carried is a job with a porter.
func carried(t *testing.T, snapshots bool) (*scene, *porter, *dock) {
	s, p := newScene(t, snapshots), &porter{}
	d := &dock{Memory: s.target}
	s.job.Target, s.job.Carrier = d, p
	for i := range 10 {
		s.put(s.source, filecopy.Path(fmt.Sprintf("f%d", i)), fmt.Sprintf("content %d", i))
	}
	return s, p, d
}

// sames wants every file of the source at the target.
func (s *scene) sames() {
	s.Helper()
	c, err := s.mover.Compare(s.Context(), s.job, true, func(d filecopy.Difference) error {
		s.Errorf("difference: %+v", d)
		return nil
	})
	if err != nil || c.Compared == 0 {
		s.Errorf("compared %+v, %v", c, err)
	}
	from, err := s.source.Open(s.Context(), filecopy.Pin{})
	if err != nil {
		s.Fatal(err)
	}
	to, err := s.target.Open(s.Context(), filecopy.Pin{})
	if err != nil {
		s.Fatal(err)
	}
	err = from.List(s.Context(), "", func(e filecopy.Entry) error {
		got, err := to.Stat(s.Context(), e.Path)
		if err == nil && e.Kind == filecopy.File && (got.Size != e.Size || got.Sum != e.Sum) {
			err = fmt.Errorf("%q differs", e.Path)
		}
		return err
	})
	if err != nil {
		s.Error(err)
	}
}

func TestCarriedFilesArePublished(t *testing.T) {
	s, p, d := carried(t, true)
	s.put(s.source, "odd", "not for others")
	var last filecopy.Progress
	set, err := s.mover.Run(t.Context(), s.job, func(p filecopy.Progress) { last = p })
	if err != nil || set.Files != 11 || d.adopted.Load() != 10 || len(p.calls) != 1 {
		t.Fatalf("set = %+v, %v; %d adopted after %v", set, err, d.adopted.Load(), p.calls)
	}
	if last.Files != 11 || last.Bytes != set.Bytes || last.Carried.Files != 10 || last.Missed != 0 {
		t.Errorf("progress = %+v", last)
	}
	s.sames()
	if s.run(); len(p.calls) != 1 {
		t.Errorf("without a change there was %v", p.calls)
	}
	p.refuses = true
	s.put(s.source, "f1", "new content")
	s.run()
	if s.sames(); len(p.calls) != 1 {
		t.Errorf("a porter that refuses was called: %v", p.calls)
	}
}

// TestWhatWasNotBroughtWellIsCopied spoils files on the way: none of it is ever published.
func TestWhatWasNotBroughtWellIsCopied(t *testing.T) {
	s, p, _ := carried(t, false)
	p.leave = []filecopy.Path{"f1"}
	p.spoil = map[filecopy.Path]func(string) string{
		"f2": func(c string) string { return "X" + c[1:] },
		"f3": func(c string) string { return c[1:] },
		"f4": func(c string) string { return c + "more" },
	}
	p.after = func() error { return put(s.source, "f5", "changed meanwhile") }
	var last filecopy.Progress
	if _, err := s.mover.Run(t.Context(), s.job, func(p filecopy.Progress) { last = p }); err != nil {
		t.Fatal(err)
	}
	if last.Missed != 4 || last.Changed != 1 || last.Files != 10 {
		t.Errorf("progress = %+v", last)
	}
	s.sames()
}

// TestCarryIsTakenUp fails at each point between the load and the ready set.
func TestCarryIsTakenUp(t *testing.T) {
	s, p, _ := carried(t, true)
	away := errors.New("away")
	p.after = func() error { return away }
	if _, err := s.mover.Run(t.Context(), s.job, nil); !errors.Is(err, away) {
		t.Fatal(err)
	}
	p.after = nil
	for _, stop := range []string{"carried", "journal sealed", "ready"} {
		s.mover.hook = func(point string) error {
			if point == stop {
				return away
			}
			return nil
		}
		if _, err := s.mover.Run(t.Context(), s.job, nil); !errors.Is(err, away) {
			t.Fatalf("stopped at %s: %v", stop, err)
		}
	}
	s.mover.hook = nil
	s.run()
	s.sames()
	if first := p.calls[0]; len(p.calls) != 3 || p.calls[1] != first || p.calls[2] != first {
		t.Errorf("calls = %v", p.calls)
	}
}

// TestCarriersAreDropped gives up what a carrier began, and refuses to go on without it.
func TestCarriersAreDropped(t *testing.T) {
	s, p, _ := carried(t, true)
	away := errors.New("away")
	p.after = func() error { return away }
	if _, err := s.mover.Run(t.Context(), s.job, nil); !errors.Is(err, away) {
		t.Fatal(err)
	}
	other := s.job
	other.Carrier = nil
	s.wants("US668", func() error { return s.mover.Drop(t.Context(), other) })
	s.wants("US668", func() error { _, err := s.mover.Run(t.Context(), other, nil); return err })
	if err := s.mover.Drop(t.Context(), s.job); err != nil || p.calls[len(p.calls)-1] != "drop job-1" || s.target.Staged() != 0 {
		t.Fatalf("drop: %v after %v; %d files are staged", err, p.calls, s.target.Staged())
	}
	if _, err := s.mover.Run(t.Context(), other, nil); err != nil {
		t.Fatal(err)
	}
	// Another member has no plan: it begins anew, and ends what runs.
	s.put(s.source, "f1", "new content")
	if _, err := s.mover.Run(t.Context(), s.job, nil); !errors.Is(err, away) {
		t.Fatal(err)
	}
	if err := os.RemoveAll(s.mover.dir); err != nil {
		t.Fatal(err)
	}
	p.after = nil
	s.run()
	if s.sames(); !slices.Contains(p.calls, "drop job-2") {
		t.Errorf("calls = %v", p.calls)
	}
	s.job.Target = s.target
	s.put(s.source, "f1", "newer content")
	s.wants("US667", func() error { _, err := s.mover.Run(t.Context(), s.job, nil); return err })
}
