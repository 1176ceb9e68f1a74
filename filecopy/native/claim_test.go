package native

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
)

// What is taken out of a list that cannot be kept is in none: no item goes on into the next one, whoever hands it in, and who waits learns of it.
func TestOrderEndsForGood(t *testing.T) {
	for name, fail := range map[string]func(*order, error) error{
		"in a pause":     func(o *order, err error) error { return o.still(func(int64) error { return err }) },
		"while it moves": func(o *order, err error) error { return o.put(0, item{fix: correction{Bytes: 1}}) },
	} {
		t.Run(name, func(t *testing.T) {
			failed := errors.New("it cannot be kept")
			passed := 0
			o := newOrder(0, func(_ int64, it *item) error {
				if it.fix.Bytes > 0 {
					return failed
				}
				passed++
				return nil
			})
			waits := make(chan error)
			go func() { waits <- o.passed(t.Context(), 5) }()
			if err := fail(o, failed); !errors.Is(err, failed) {
				t.Fatal(err)
			}
			if err := <-waits; !errors.Is(err, failed) {
				t.Errorf("who waits learns %v", err)
			}
			for seq := range int64(3) {
				if err := o.put(seq, item{}); !errors.Is(err, failed) {
					t.Errorf("item %d goes on: %v", seq, err)
				}
			}
			if err := o.still(func(int64) error { passed++; return nil }); !errors.Is(err, failed) || passed != 0 {
				t.Errorf("%d passed, %v", passed, err)
			}
		})
	}
}

// TestWhatIsShownStays has the word of a lost member that its set is ready come when another one's is half shown: that one is finished.
func TestWhatIsShownStays(t *testing.T) {
	lineages(t, func(l *lineage) {
		l.populate()
		late := l.withholds()
		if !l.isLost(l.member(1, "show")) {
			l.Fatal("the second was not lost")
		}
		want := l.kept("job/" + readyName)
		l.must(l.target.Keep(l.Context(), "job/"+readyName, strings.NewReader(late)))
		next := l.member(0, "")
		standing, err := next.Standing(l.Context(), l.job)
		if err != nil || standing.Ready == nil || !standing.Shown || want == late {
			l.Fatalf("standing = %+v, %v", standing, err)
		}
		if err := next.Drop(l.Context(), l.job); err == nil {
			l.Error("a half shown set was dropped")
		}
		end := l.job
		end.Source = nil
		if set, err := next.Finish(l.Context(), end, nil); err != nil || set.ID != standing.Ready.ID {
			l.Errorf("finish = %+v, %v", set, err)
		}
		_, err = next.Run(l.Context(), l.job, nil)
		l.must(err)
		l.over(l.target.bytes.Load())
	})
}

// TestAMarkThatComesLateIsNone has the mark of a member that was held up right before it come when another one has claimed the set.
func TestAMarkThatComesLateIsNone(t *testing.T) {
	lineages(t, func(l *lineage) {
		l.populate()
		if !l.isLost(l.member(1, "show")) {
			l.Fatal("the member was not lost")
		}
		mark := "job/" + showingName(1)
		document := l.kept(mark)
		l.must(l.target.Forget(l.Context(), mark))
		l.must(l.target.Forget(l.Context(), "job/"+readyName))
		if !l.isLost(l.member(9, "journal ")) {
			l.Fatal("the second was not lost")
		}
		l.must(l.target.Keep(l.Context(), mark, strings.NewReader(document)))
		next := l.member(0, "")
		standing, err := next.Standing(l.Context(), l.job)
		if err != nil || standing.Ready != nil {
			l.Errorf("standing = %+v, %v", standing, err)
		}
		_, err = next.Run(l.Context(), l.job, nil)
		l.must(err)
		l.over(l.target.bytes.Load())
	})
}

// TestWhoseClaim lets a claim be forgotten by later members only, and no set be shown or believed in without it.
func TestWhoseClaim(t *testing.T) {
	l := inMemory(t, false)
	v := vault{job: "job", keeper: l.target}
	other := claimName(1, 2, "other")
	l.must(v.keepDocument(l.Context(), claimName(1, 0, "earlier"), claim{Plan: author{ID: "earlier"}}))
	l.must(v.keepDocument(l.Context(), other, claim{Plan: author{ID: "other"}}))
	r := &run{desk: &desk{vault: v}}
	l.must(r.keepClaim(l.Context(), 1, claim{Plan: author{ID: "mine"}, turn: 1}))
	names, err := l.target.KeptNames(l.Context(), "job")
	if want := []string{"job/" + claimName(1, 1, "mine"), "job/" + other}; err != nil || !slices.Equal(names, want) {
		t.Errorf("claims are %q, %v", names, err)
	}
	p := &publisher{desk: r.desk, ready: ready{Set: filecopy.Set{Number: 1}, Plan: "mine"}}
	if err := p.mark(l.Context()); !errors.Is(err, filecopy.ErrGuard) {
		t.Errorf("a set that another member claimed is shown: %v", err)
	}
	l.must(v.keepDocument(l.Context(), readyName, ready{Format: formatVersion, Set: filecopy.Set{Number: 1}, Plan: "mine"}))
	for _, name := range names {
		if _, ok, err := v.ready(l.Context(), head{}); err != nil || ok {
			t.Errorf("it is believed to be ready: %v", err)
		}
		l.must(l.target.Forget(l.Context(), name))
	}
}

// unread is a target that does not give claims away.
type unread struct{ heirloom }

var errUnread = errors.New("no answer")

func (unread) KeptNames(context.Context, string) ([]string, error) { return nil, errUnread }

// TestAClaimThatCannotBeReadCostsNothing has a target not answer when a member asks whether its set is still its own: nothing is given up.
func TestAClaimThatCannotBeReadCostsNothing(t *testing.T) {
	lineages(t, func(l *lineage) {
		l.populate()
		first := l.member(20, "journal ")
		if !l.isLost(first) || l.staged() == 0 {
			l.Fatal("nothing was staged")
		}
		staged := l.staged()
		l.target.heirloom = unread{l.target.heirloom}
		if _, err := first.Run(l.Context(), l.job, nil); !errors.Is(err, errUnread) {
			l.Errorf("the run ends with %v", err)
		}
		l.target.heirloom = l.target.heirloom.(unread).heirloom
		if now := l.staged(); now != staged {
			l.Errorf("%d files are staged, and %d were", now, staged)
		}
	})
}
