package native

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/local"
)

// pair is a job between two local trees.
type pair struct {
	source, target string
	mover          *Mover
	job            filecopy.Job
}

func newPair(t *testing.T) *pair {
	t.Helper()
	dir := t.TempDir()
	p := &pair{source: filepath.Join(dir, "source"), target: filepath.Join(dir, "target"), mover: New(filepath.Join(dir, "mover"))}
	if err := os.Mkdir(p.source, 0o755); err != nil {
		t.Fatal(err)
	}
	p.job = filecopy.Job{Name: "job", Source: open(t, p.source), Target: open(t, p.target)}
	p.job.Guard = filecopy.Guard{MaxDeletes: 1000, MaxShare: 1}
	return p
}

func open(t *testing.T, root string) *local.Store {
	t.Helper()
	s, err := local.New(local.Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// write makes files of the source: path and content in turn.
func (p *pair) write(t *testing.T, files ...string) {
	t.Helper()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(p.source, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *pair) run(t *testing.T) filecopy.Set {
	t.Helper()
	set, err := p.mover.Run(context.Background(), p.job, nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// content reads a file of the target.
func (p *pair) content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.target, path))
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return string(b)
}

func TestRunCopiesATreeAndThenItsChanges(t *testing.T) {
	p := newPair(t)
	p.write(t, "a", "one", "d/b", "two", "d/e/c", "three", "d.x", "")
	set := p.run(t)
	if set.Files != 4 || set.Number != 1 || set.Bytes != 11 {
		t.Errorf("set = %+v", set)
	}
	p.write(t, "a", "ONE+", "d/new", "n")
	if err := os.RemoveAll(filepath.Join(p.source, "d/e")); err != nil {
		t.Fatal(err)
	}
	set = p.run(t)
	if set.Files != 4 || set.Number != 2 {
		t.Errorf("set = %+v", set)
	}
	for path, want := range map[string]string{"a": "ONE+", "d/b": "two", "d/new": "n", "d.x": ""} {
		if got := p.content(t, path); got != want {
			t.Errorf("%s = %q, want %q", path, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(p.target, "d/e")); err == nil {
		t.Error("d/e is still there")
	}
	again := p.run(t)
	if again.ID != set.ID || again.Number != 3 {
		t.Errorf("without change: %+v after %+v", again, set)
	}
	c, err := p.mover.Compare(context.Background(), p.job, true, func(d filecopy.Difference) error {
		t.Errorf("difference: %+v", d)
		return nil
	})
	if err != nil || c.Read == 0 {
		t.Errorf("compare = %+v, %v", c, err)
	}
}

// halting is a tree whose mover is halted as it forgets that a set was ready, which is the last thing that it does.
type halting struct{ *local.Store }

func (h halting) Forget(ctx context.Context, name string) error {
	if strings.HasSuffix(name, "/"+readyName) {
		return errHalted
	}
	return h.Store.Forget(ctx, name)
}

var errHalted = errors.New("halted")

// TestARunSweepsWhatAHaltLeft: a process that was killed in the middle of cleaning up leaves empty directories, and the next one removes them.
func TestARunSweepsWhatAHaltLeft(t *testing.T) {
	p := newPair(t)
	p.write(t, "a", "one")
	whole := p.job.Target.(*local.Store)
	p.job.Target = halting{whole}
	if _, err := p.mover.Run(t.Context(), p.job, nil); !errors.Is(err, errHalted) {
		t.Fatal(err)
	}
	left := filepath.Join(filepath.Dir(p.target), ".target.understudy", "kept", p.job.Name, "set-0", "layer")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	p.job.Target = whole
	p.run(t)
	if _, err := os.Stat(filepath.Dir(left)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", left, err)
	}
	if got := p.content(t, "a"); got != "one" {
		t.Errorf("a is %q", got)
	}
}

// TestRunsSweepOnceADay: a process that was killed while it kept something leaves half an object, which a run removes, but not each looks for one.
func TestRunsSweepOnceADay(t *testing.T) {
	p := newPair(t)
	now := time.Now()
	p.job.Clock = func() time.Time { return now }
	half := filepath.Join(filepath.Dir(p.target), ".target.understudy", "kept", p.job.Name, "set-0", "items", ".keep-1")
	for i, c := range []struct {
		later time.Duration
		stays bool
	}{{0, false}, {time.Hour, true}, {24 * time.Hour, false}} {
		now = now.Add(c.later)
		if err := os.MkdirAll(filepath.Dir(half), 0o700); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-2 * time.Hour)
		if err := errors.Join(os.WriteFile(half, nil, 0o600), os.Chtimes(half, old, old)); err != nil {
			t.Fatal(err)
		}
		p.write(t, "a", strings.Repeat("x", i+1))
		p.run(t)
		if _, err := os.Stat(half); (err == nil) != c.stays {
			t.Errorf("after %s: %v", c.later, err)
		}
	}
}
