package storage_test

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
)

// remembers does of a stage's steps those that only change the memory, and gives it.
func (p *pair) remembers(w workload.Workload, s understudy.Stage) understudy.Keep {
	p.t.Helper()
	steps, err := p.decided(w, s)
	must(p.t, err)
	kept := understudy.Keep{}
	maps.Copy(kept, s.Kept)
	for _, step := range steps {
		if step.Kind != "remember" {
			continue
		}
		r, err := w.Do(p.t.Context(), step, p.runOf(s))
		must(p.t, err)
		maps.Copy(kept, r.Keep)
	}
	maps.DeleteFunc(kept, func(_ string, doc []byte) bool { return doc == nil })
	return kept
}

// without gives a memory without some of its documents.
func without(kept understudy.Keep, names ...string) understudy.Keep {
	kept = maps.Clone(kept)
	for _, name := range names {
		delete(kept, name)
	}
	return kept
}

// stores gives what a memory of an earlier version holds.
func stores(kept understudy.Keep) understudy.Keep {
	return understudy.Keep{"store/east": kept["store/east"], "store/west": kept["store/west"]}
}

// silent gives a memory as an earlier version kept it when west was silent.
func silent(kept understudy.Keep) understudy.Keep {
	kept = maps.Clone(kept)
	kept["store/west"] = []byte(`""`)
	return kept
}

// refusal decides a stage, and gives the code and the object of its refusal.
func (p *pair) refusal(w workload.Workload, s understudy.Stage) (understudy.Code, understudy.Object, string) {
	p.t.Helper()
	_, err := p.decided(w, s)
	e := understudy.AsError(err)
	if e == nil {
		return "", understudy.Object{}, ""
	}
	return e.Code, e.Object, e.Summary
}

// TestEachTreeIsKnownByItself leaves sets beside the trees of the target, and asks each verb that would go on beside them.
func TestEachTreeIsKnownByItself(t *testing.T) {
	p := newPair(t)
	w := p.opened(t)
	must(t, p.write(t.Context(), east, 6))
	all := p.remembers(w, p.under(1, understudy.Protect, understudy.StageCreate))
	if len(all) != 6 {
		t.Fatalf("protect remembers %q", all)
	}
	p.runsUnder(w, 5, "op-1", ready()...)
	p.showsInPart("e5")
	for name, c := range map[string]struct {
		kept  understudy.Keep
		epoch understudy.RoleEpoch
		code  understudy.Code
		tree  string
		// passes says that a takeover is not refused.
		passes bool
	}{
		"all are ours":                             {kept: all, epoch: 7},
		"one was added":                            {kept: without(all, "tree/west/jars"), epoch: 7, code: "US745", tree: "/jars"},
		"none is ours":                             {epoch: 7, code: "US745", tree: "/data/curated"},
		"an earlier version protected them":        {kept: stores(all), epoch: 7},
		"an earlier version did, the site silent":  {kept: silent(stores(all)), epoch: 7},
		"the store has no name yet":                {kept: without(all, "store/west"), epoch: 7},
		"the folder's role is later":               {kept: all, epoch: 3, code: "US745", tree: "/data/curated", passes: true},
		"the folder's role is later, one is added": {kept: without(all, "tree/west/data/curated"), epoch: 3, code: "US745", tree: "/data/curated"},
	} {
		for _, at := range []struct {
			verb  understudy.Verb
			stage understudy.StageName
		}{
			{understudy.Protect, understudy.StageCheck},
			{understudy.Protect, understudy.StageProvision},
			{understudy.Protect, understudy.StageCreate},
			{understudy.Replicate, understudy.StageCheck},
			{understudy.Replicate, understudy.StageProvision},
			{understudy.Switchover, understudy.StageCheck},
			{understudy.Switchover, understudy.StageProvision},
			{understudy.Failover, understudy.StageProvision},
			{understudy.Reprotect, understudy.StageCheck},
			{understudy.Reprotect, understudy.StageFence},
		} {
			want := c.code
			if c.passes && (at.verb == understudy.Switchover || at.verb == understudy.Failover) {
				want = ""
			}
			s := p.under(c.epoch, at.verb, at.stage)
			s.Kept = c.kept
			if code, o, text := p.refusal(w, s); code != want || code != "" && (o.Site != west || o.Shard != c.tree) {
				t.Errorf("%s: %s %s: %q %+v %s, want %q of %s", name, at.verb, at.stage, code, o, text, want, c.tree)
			}
		}
	}
}

// TestASetBesideTheSource has one lie at the source: it is refused before anything is changed, since the source may be the target later.
func TestASetBesideTheSource(t *testing.T) {
	p := newPair(t)
	w := p.opened(t)
	must(t, p.write(t.Context(), east, 6))
	p.runsUnder(w, 1, "op-1", append(ready(), understudy.StagePublish)...)
	must(t, p.write(t.Context(), west, 2))
	p.runsBack(w, 5, "op-2", ready()...)
	for _, verb := range []understudy.Verb{understudy.Protect, understudy.Replicate} {
		if code, o, text := p.refusal(w, p.under(7, verb, understudy.StageCheck)); code != "US745" || o.Site != east || !strings.Contains(text, "/e5") {
			t.Errorf("%s: %s %+v %s", verb, code, o, text)
		}
	}
}

// TestOlderFoldersAreRead finds what lies in a folder that is not the newest, and also one that cannot be read, which does not make the site silent.
func TestOlderFoldersAreRead(t *testing.T) {
	for name, text := range garbled() {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			w := p.opened(t)
			p.outlives(w, true)
			for range 2 {
				obs, err := w.Observe(t.Context())
				must(t, err)
				if seen := obs.Sites[west]; seen.Presence != workload.Present || seen.Error != nil {
					t.Fatalf("west is %+v", seen)
				}
				code, o, said := p.refusal(w, p.under(7, understudy.Protect, understudy.StageCheck))
				if code != "US745" || o.Shard != trees()[0] || !strings.HasSuffix(said, "/e1") {
					t.Errorf("%s %+v %s", code, o, said)
				}
				p.garbles("e1", text)
			}
		})
	}
}

// TestWhatIsRememberedOfTrees follows it from the first protect on.
func TestWhatIsRememberedOfTrees(t *testing.T) {
	p := newPair(t)
	w := p.opened(t)
	must(t, p.write(t.Context(), east, 6))
	all := p.remembers(w, p.under(1, understudy.Protect, understudy.StageCreate))
	says := func(kept understudy.Keep) string {
		return fmt.Sprintf("east %s %s, west %s %s", kept["tree/east/jars"], kept["tree/east/data/curated"], kept["tree/west/jars"], kept["tree/west/data/curated"])
	}
	if now := says(all); now != "east true true, west false false" {
		t.Errorf("protect remembers %s", now)
	}
	// The first run along a link reads both sides, so it is told nothing.
	if p.repairs(w, all) {
		t.Error("the first run is a repair")
	}
	p.runsUnder(w, 1, "op-1", append(ready(), understudy.StagePublish)...)
	if !p.repairs(w, all) {
		t.Error("a run in a folder whose past nobody knows does not compare the target")
	}
	s := p.under(1, understudy.Replicate, understudy.StagePublish)
	s.Kept = all
	steps, err := p.decided(w, s)
	must(t, err)
	shown, err := w.Do(t.Context(), steps[len(steps)-1], p.runOf(s))
	must(t, err)
	maps.Copy(all, shown.Keep)
	if now := says(all); now != "east true true, west true true" || p.repairs(w, all) {
		t.Errorf("when a set is shown, it remembers %s", now)
	}
	// An earlier version compared them when it protected them; it kept no name of a store that was silent.
	provision := p.under(1, understudy.Replicate, understudy.StageProvision)
	provision.Kept = stores(all)
	if now := says(p.remembers(w, provision)); now != "east true true, west true true" {
		t.Errorf("of an earlier version's it remembers %s", now)
	}
	provision.Kept = silent(stores(all))
	kept := p.remembers(w, provision)
	if now := says(kept); now != "east true true, west false false" || !p.repairs(w, provision.Kept) || string(kept["store/west"]) != string(all["store/west"]) {
		t.Errorf("of a store without a name it remembers %s: %s", now, kept["store/west"])
	}
	// What the plan has no longer is forgotten, and is unknown if it comes back.
	provision.Kept = maps.Clone(all)
	provision.Kept["tree/west/old"] = []byte("true")
	if kept = p.remembers(w, provision); kept["tree/west/old"] != nil || len(kept) != len(all) {
		t.Errorf("it remembers %q", kept)
	}
}

// repairs says whether a run under the first role compares the target.
func (p *pair) repairs(w workload.Workload, kept understudy.Keep) bool {
	p.t.Helper()
	s := p.under(1, understudy.Replicate, understudy.StageCapture)
	s.Kept = kept
	steps, err := p.decided(w, s)
	must(p.t, err)
	return strings.Contains(string(steps[len(steps)-1].Args), `"repair":true`)
}

// TestAnAbortPastASilentSiteForgetsIt gives a protect up while the target is silent. What lies there is not ours any more when it is back.
func TestAnAbortPastASilentSiteForgetsIt(t *testing.T) {
	p := newPair(t)
	w := p.opened(t)
	must(t, p.write(t.Context(), east, 6))
	s := p.under(1, understudy.Abort, understudy.StageRelease)
	s.Kept = p.remembers(w, p.under(1, understudy.Protect, understudy.StageCreate))
	p.runsUnder(w, 1, "op-1", ready()...)
	back, err := p.lose(t.Context(), west)
	must(t, err)
	kept := p.remembers(w, s)
	must(t, back())
	for name := range kept {
		if strings.Contains(name, "west") {
			t.Errorf("it still remembers %s", name)
		}
	}
	again := p.under(1, understudy.Protect, understudy.StageCheck)
	again.Kept = kept
	if code, o, _ := p.refusal(w, again); code != "US745" || o.Site != west {
		t.Errorf("the next protect: %s %+v", code, o)
	}
}

// raised is a control plane over a pair of which it protects one tree at first, and both when the documents say so.
func raised(t *testing.T, p *pair) *controltest.Plane {
	every, err := workload.ParseSchedule("every 4h")
	must(t, err)
	plan := func(trees ...storage.Tree) control.Plans {
		spec, cfg := p.spec, *p.spec.Config.(*storage.Config)
		cfg.Trees = trees
		spec.Config = &cfg
		return control.Plans{{Name: "contoso", Home: east, Sites: p.spec.Sites, Workloads: []workload.Planned{{Spec: spec, OnFailure: understudy.Stop, Schedule: every}}}}
	}
	all := p.spec.Config.(*storage.Config).Trees
	return controltest.Start(t, controltest.Setup{
		Registry: workload.NewRegistry(storage.Kind()), DataDir: t.TempDir(), Plan: plan(all...)[0],
		Options: func(o *control.Options) {
			o.Compile = func(text string) (control.Plans, error) {
				if text == "both" {
					return plan(all...), nil
				}
				return plan(all[0]), nil
			}
		},
	})
}

// TestATreeIsAddedBesideAnothersSet has a protected workload gain a tree beside which a control plane that is lost was showing a set. No run goes on beside it,
// and no takeover, before a person has moved it away.
func TestATreeIsAddedBesideAnothersSet(t *testing.T) {
	p := newPair(t)
	w := p.opened(t)
	must(t, p.write(t.Context(), east, 6))
	p.runsUnder(w, 5, "op-1", ready()...)
	must(t, os.RemoveAll(p.folder(west, trees()[0])))
	plane := raised(t, p)
	plane.Apply()
	plane.Do(control.StartRequest{Verb: understudy.Protect}, control.Committed)
	_, err := plane.Controller.Apply(t.Context(), control.ApplyRequest{Text: "both", By: "ada", Base: 1})
	must(t, err)
	refuses := func(op control.Operation, at understudy.StageName) {
		t.Helper()
		wants(t, "US745", op.Error)
		if op.Stage != at || op.Error.Object.Shard != trees()[1] || op.Error.Object.Site != west {
			t.Fatalf("%s at %s: %+v", op.Verb, op.Stage, op.Error)
		}
	}
	run := plane.Do(control.StartRequest{Verb: understudy.Replicate}, control.PausedByStep)
	refuses(run, understudy.StageCheck)
	back, err := p.lose(t.Context(), east)
	must(t, err)
	op := plane.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, control.PausedByStep)
	refuses(op, understudy.StageProvision)
	must(t, back())
	if op = plane.Act(plane.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
		t.Fatalf("the abort is %s: %v", op.State, op.Error)
	}
	must(t, os.Rename(p.folder(west, trees()[1]), p.folder(west, trees()[1])+".lost"))
	plane.Do(control.StartRequest{Verb: understudy.Replicate}, control.Committed)
	must(t, p.same(t.Context()))
}

// staged starts a control plane over a pair, and gives its stagehand.
func staged(t *testing.T) *stagehand {
	var hand *stagehand
	e := story{prepare: func(s *stagehand) { hand = s }}.estate(t)
	p := controltest.Start(t, e.Setup)
	t.Cleanup(p.Stop)
	p.Apply()
	e.Prepare(p)
	hand.writes(east, 6)
	return hand
}

// TestASilentTargetIsNotProtected refuses before anything is put in place, since nobody knows what lies there, and goes on when it answers.
func TestASilentTargetIsNotProtected(t *testing.T) {
	t.Parallel()
	s := staged(t)
	back, err := s.lose(t.Context(), west)
	must(t, err)
	op := s.p.Do(control.StartRequest{Verb: understudy.Protect}, control.PausedByStep)
	wants(t, "US702", op.Error)
	if _, err := os.Stat(s.folder(east, trees()[0])); op.Stage != understudy.StageProvision || op.Error.Object.Site != west || !os.IsNotExist(err) {
		t.Fatalf("at %s: %+v, %v", op.Stage, op.Error, err)
	}
	must(t, back())
	if op = s.p.Act(s.p.Retry, control.ActRequest{Operation: op.ID}); op.State != control.Committed {
		t.Fatalf("protect is %s at %s: %v", op.State, op.Stage, op.Error)
	}
	must(t, s.same(t.Context()))
}

// TestASiteThatWasLetGoIsCompared protects once more with a site that was let go. Its folder is there as it was, and what people wrote into the tree
// meanwhile must not be shown by a takeover.
func TestASiteThatWasLetGoIsCompared(t *testing.T) {
	t.Parallel()
	s := staged(t)
	s.do(understudy.Protect, control.Committed)
	back, err := s.lose(t.Context(), west)
	must(t, err)
	s.p.Do(control.StartRequest{Verb: understudy.Unprotect, AcceptFence: []understudy.Site{west}}, control.Committed)
	must(t, back())
	must(t, os.WriteFile(s.root[west]+"/jars/latest", []byte("theirs"), 0o600))
	must(t, os.WriteFile(s.root[west]+"/jars/foreign", []byte("theirs"), 0o600))
	s.do(understudy.Protect, control.Committed)
	must(t, s.same(t.Context()))
}

// TestARestoredJournalStopsNoFailover fails over with a data directory from before the role rose: the target has a folder of a later role, and its set.
func TestARestoredJournalStopsNoFailover(t *testing.T) {
	t.Parallel()
	s := staged(t)
	s.do(understudy.Protect, control.Committed)
	must(t, s.write(t.Context(), east, 4))
	w := s.opened(t)
	s.runsUnder(w, 3, "op-9", append(ready(), understudy.StagePublish)...)
	want := s.text(s.root[east])
	s.loses()
	s.p.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, control.CommitWindow)
	must(t, s.westShows(want))
	for _, tree := range trees() {
		if f, err := os.Stat(s.folder(west, tree) + "/e3"); err != nil || f.IsDir() {
			t.Errorf("e3 is not barred beside %s: %v", tree, err)
		}
	}
}
