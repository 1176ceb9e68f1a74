package native

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
)

// anchoring is a target that holds one entry, and counts who asks for it.
type anchoring struct {
	*filecopytest.Memory
	held filecopy.Path
	asks int
	// hides says that it does not tell before it is asked to take it away.
	hides bool
}

func (h *anchoring) stays(p filecopy.Path) error {
	if h.held == "" || h.held != p && !h.held.Below(p) {
		return nil
	}
	return &understudy.Error{Code: "US748", Kind: understudy.KindRefused, Summary: string(h.held) + " is held"}
}

func (h *anchoring) Held(context.Context) (func(filecopy.Path) error, error) {
	if h.asks++; h.hides {
		return nil, nil
	}
	return h.stays, nil
}

func (h *anchoring) Move(ctx context.Context, from, to filecopy.Path) error {
	if err := h.stays(from); err != nil {
		return err
	}
	return h.Memory.Move(ctx, from, to)
}

func (h *anchoring) Retire(ctx context.Context, p filecopy.Path, quarantine string) error {
	if err := h.stays(p); err != nil {
		return err
	}
	return h.Memory.Retire(ctx, p, quarantine)
}

// TestWhatIsHeldIsLookedForOnce asks a target what it holds once for a set that takes directories from their places, and for no other; and shows nothing of a
// set that could not be shown to its end. A set that is shown in part is shown as far as can be.
func TestWhatIsHeldIsLookedForOnce(t *testing.T) {
	s := newScene(t, true)
	to := &anchoring{Memory: s.target}
	s.job.Target = to
	for _, dir := range []filecopy.Path{"gone", "gone/in", "moved", "becomes", "late", "free", "stays"} {
		if err := s.source.MakeDirectory(t.Context(), filecopy.Entry{Path: dir, Kind: filecopy.Directory, Attributes: filecopy.Attributes{Mode: 0o755}}); err != nil {
			t.Fatal(err)
		}
		s.put(s.source, dir+"/f", string(dir))
	}
	s.put(s.source, "f", "f")
	s.run()
	retire := func(p filecopy.Path) error { return s.source.Retire(t.Context(), p, "20260102T150405Z-1") }
	for name, c := range map[string]struct {
		held   filecopy.Path
		asks   int
		hides  bool
		change func() error
	}{
		"nothing goes":      {"", 0, false, func() error { return nil }},
		"a file goes":       {"", 0, false, func() error { return retire("f") }},
		"others are held":   {"stays", 1, false, func() error { return retire("free") }},
		"a directory goes":  {"gone/in", 1, false, func() error { return retire("gone") }},
		"it is renamed":     {"moved", 1, false, func() error { return s.source.Move(t.Context(), "moved", "elsewhere") }},
		"it becomes a file": {"becomes", 1, false, func() error { return errors.Join(retire("becomes"), put(s.source, "becomes", "a file")) }},
		"it is not told":    {"late", 1, true, func() error { return retire("late") }},
	} {
		t.Run(name, func(t *testing.T) {
			s.T = t
			if err := c.change(); err != nil {
				t.Fatal(err)
			}
			with := filecopy.Path("with " + name)
			s.put(s.source, with, name)
			to.held, to.hides, to.asks = c.held, c.hides, 0
			if refused := c.held != "" && c.held != "stays"; refused {
				s.wants("US748", s.tries)
				if s.shows(with) != c.hides || !s.shows(c.held) {
					t.Errorf("of what comes with it is shown: %v", s.shows(with))
				}
				if c.hides {
					// It is shown in part.
					s.wants("US748", s.tries)
				}
			} else {
				s.run()
			}
			if to.asks != c.asks {
				t.Errorf("it asks %d times, want %d", to.asks, c.asks)
			}
			to.held = ""
			s.run()
			_, err := s.mover.Compare(t.Context(), s.job, true, func(d filecopy.Difference) error { return fmt.Errorf("a difference: %+v", d) })
			if err != nil || !s.shows(with) {
				t.Errorf("the set is not shown: %v", err)
			}
		})
	}
}

// shows says whether the target has an entry.
func (s *scene) shows(p filecopy.Path) bool {
	s.Helper()
	view, err := s.target.Open(s.Context(), filecopy.Pin{})
	if err == nil {
		_, err = view.Stat(s.Context(), p)
	}
	if err != nil && !errors.Is(err, filecopy.ErrNotFound) {
		s.Fatal(err)
	}
	return err == nil
}
