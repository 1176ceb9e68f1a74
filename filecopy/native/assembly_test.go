package native

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/local"
)

// stage is a local tree that tells when a file is put into a new directory, and when one is shown.
type stage struct {
	*local.Store
	put  func(ctx context.Context, p filecopy.Path) error
	show func(ctx context.Context, p filecopy.Path) error
}

func (s *stage) Assembly(lot string) (filecopy.Target, error) {
	to, err := s.Store.Assembly(lot)
	return &wing{to, s}, err
}

func (s *stage) Reveal(ctx context.Context, lot string, p filecopy.Path) error {
	if err := s.show(ctx, p); err != nil {
		return err
	}
	return s.Store.Reveal(ctx, lot, p)
}

// wing is where its directories are put together.
type wing struct {
	filecopy.Target
	of *stage
}

func (w *wing) Publish(ctx context.Context, sealed filecopy.Sealed, e filecopy.Entry) (string, error) {
	if err := w.of.put(ctx, e.Path); err != nil {
		return "", err
	}
	return w.Target.Publish(ctx, sealed, e)
}

// TestDirectoriesAreShownSideBySide keeps the first directory from being shown until files of the last one are in their place.
func TestDirectoriesAreShownSideBySide(t *testing.T) {
	p := newPair(t)
	for i := range 20 {
		p.write(t, fmt.Sprintf("d%02d/a", i), "a", fmt.Sprintf("d%02d/below/b", i), "b")
	}
	late := make(chan struct{})
	p.job.Target = &stage{open(t, p.target), func(_ context.Context, p filecopy.Path) error {
		if p == "d19/below/b" {
			close(late)
		}
		return nil
	}, func(ctx context.Context, p filecopy.Path) error {
		if p != "d00" {
			return nil
		}
		return await(ctx, late)
	}}
	p.run(t)
	p.complete(t, 20)
}

// complete wants all files of as many directories.
func (p *pair) complete(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		for name, want := range map[string]string{"a": "a", "below/b": "b"} {
			if got := p.content(t, fmt.Sprintf("d%02d/%s", i, name)); got != want {
				t.Errorf("d%02d/%s = %q", i, name, got)
			}
		}
	}
}

// TestNoDirectoryIsShownInPart fails at the last file of one directory, and as directories are shown: none is ever seen without all that it holds, and
// the next run shows all.
func TestNoDirectoryIsShownInPart(t *testing.T) {
	p := newPair(t)
	for i := range 20 {
		p.write(t, fmt.Sprintf("d%02d/a", i), "a", fmt.Sprintf("d%02d/below/b", i), "b")
	}
	boom := errors.New("boom")
	var shown atomic.Int64
	fine := func(context.Context, filecopy.Path) error { return nil }
	for name, target := range map[string]*stage{
		"a file": {open(t, p.target), func(_ context.Context, p filecopy.Path) error {
			if p == "d07/below/b" {
				return boom
			}
			return nil
		}, fine},
		"showing": {open(t, p.target), fine, func(context.Context, filecopy.Path) error {
			if shown.Add(1) > 2 {
				return boom
			}
			return nil
		}},
	} {
		p.job.Target = target
		if _, err := p.mover.Run(t.Context(), p.job, nil); !errors.Is(err, boom) {
			t.Fatalf("%s: the run ends with %v", name, err)
		}
		for i := range 20 {
			dir := fmt.Sprintf("d%02d", i)
			if _, err := os.Stat(filepath.Join(p.target, dir)); err != nil {
				continue
			}
			if p.content(t, dir+"/a") != "a" || p.content(t, dir+"/below/b") != "b" || name == "a file" && i == 7 {
				t.Errorf("%s: %s is shown in part", name, dir)
			}
		}
	}
	p.job.Target = open(t, p.target)
	p.run(t)
	p.complete(t, 20)
}
