package storage_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"

	"github.com/understudy-dr/understudy"
)

// TestNoStoreIsMade decides stages of runs and takeovers while the target is silent, as one whose target falls silent on the way, and does them. A store that they
// made where the protected one should be would be refused as another one from then on (US706), and stand in the way of a mount.
func TestNoStoreIsMade(t *testing.T) {
	for _, at := range []struct {
		verb understudy.Verb
		name understudy.StageName
	}{
		{understudy.Replicate, understudy.StageCapture},
		{understudy.Replicate, understudy.StageCopy},
		{understudy.Replicate, understudy.StageProve},
		{understudy.Replicate, understudy.StagePublish},
		{understudy.Switchover, understudy.StageDrain},
		{understudy.Switchover, understudy.StageHalt},
		{understudy.Switchover, understudy.StageCut},
		{understudy.Failover, understudy.StageHalt},
	} {
		t.Run(fmt.Sprintf("%s %s", at.verb, at.name), func(t *testing.T) {
			p := newPair(t)
			w := p.opened(t)
			must(t, p.write(t.Context(), east, 6))
			s := p.under(1, at.verb, at.name)
			s.Kept = p.remembers(w, p.under(1, understudy.Protect, understudy.StageCreate))
			back, err := p.lose(t.Context(), west)
			must(t, err)
			steps, err := p.decided(w, s)
			must(t, err)
			tried := 0
			for _, step := range steps {
				if step.Site == west {
					_, err = w.Do(t.Context(), step, p.runOf(s))
					wants(t, "US702", err)
					tried++
				}
			}
			if tried == 0 {
				t.Error("nothing is to be done at west")
			}
			if _, err := os.Stat(p.root[west]); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("there is something in the place of west: %v", err)
			}
			must(t, back())
			s.Verb, s.Name = understudy.Replicate, understudy.StageProvision
			if code, _, text := p.refusal(w, s); code != "" {
				t.Errorf("the next run: %s %s", code, text)
			}
		})
	}
}

// TestASilentTargetIsKnown goes on to a silent target only where its store and all of its trees are remembered.
func TestASilentTargetIsKnown(t *testing.T) {
	p := newPair(t)
	w := p.opened(t)
	all := p.remembers(w, p.under(1, understudy.Protect, understudy.StageCreate))
	_, err := p.lose(t.Context(), west)
	must(t, err)
	for name, c := range map[string]struct {
		kept understudy.Keep
		code understudy.Code
	}{
		"all are ours":                            {kept: all},
		"one was added":                           {kept: without(all, "tree/west/jars"), code: "US702"},
		"an earlier version protected them":       {kept: stores(all)},
		"an earlier version did, the site silent": {kept: silent(stores(all)), code: "US702"},
		"the store has no name yet":               {kept: without(all, "store/west"), code: "US702"},
	} {
		for _, verb := range []understudy.Verb{understudy.Replicate, understudy.Switchover, understudy.Failover} {
			s := p.under(1, verb, understudy.StageProvision)
			s.Kept = c.kept
			if code, o, text := p.refusal(w, s); code != c.code || code != "" && o.Site != west {
				t.Errorf("%s: %s: %q %+v %s, want %q", name, verb, code, o, text, c.code)
			}
		}
	}
}

// TestATreeIsAddedWhileTheTargetIsSilent has a run come to its provision while the target is silent, go on from there when it is back, and be cut off behind
// its staging. What lies beside the tree that was added is ours then.
func TestATreeIsAddedWhileTheTargetIsSilent(t *testing.T) {
	p := newPair(t)
	w := p.opened(t)
	must(t, p.write(t.Context(), east, 6))
	s := p.under(1, understudy.Replicate, understudy.StageProvision)
	s.Kept = without(p.remembers(w, p.under(1, understudy.Protect, understudy.StageCreate)), "tree/west/jars")
	back, err := p.lose(t.Context(), west)
	must(t, err)
	_, err = p.decided(w, s)
	wants(t, "US702", err)
	must(t, back())
	s.Kept = p.remembers(w, s)
	p.runsFrom(w, s, "op-1", ready()...)
	for _, verb := range []understudy.Verb{understudy.Failover, understudy.Replicate} {
		s.Verb = verb
		if code, o, text := p.refusal(w, s); code != "" {
			t.Errorf("%s: %s %+v %s", verb, code, o, text)
		}
	}
}
