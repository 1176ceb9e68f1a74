package storage_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// folder is understudy's folder of a tree at a site.
func (p *pair) folder(site understudy.Site, tree string) string {
	return filepath.Join(p.root[site], filepath.Dir(tree), "."+filepath.Base(tree)+".understudy")
}

// showsInPart stops a set of the first tree, which is ready in a folder at west, when it shows its first file.
func (p *pair) showsInPart(folder string) {
	p.t.Helper()
	store, err := place.Local(p.root[west]).Tree(trees()[0]).Store(p.t.Context(), folder, false)
	must(p.t, err)
	ctx, stop := context.WithCancel(p.t.Context())
	defer stop()
	link := filecopy.Job{Name: "contoso.curated.east.west", LeaveRoot: true, Target: filecopytest.Telling(store, func(call string) {
		if call == "publish" {
			stop()
		}
	})}
	mover := native.New(p.t.TempDir())
	if _, err = mover.Finish(ctx, link, nil); err == nil {
		p.t.Fatal("the set is shown whole")
	}
	if now, err := mover.Standing(p.t.Context(), link); err != nil || now.Ready == nil || !now.Shown {
		p.t.Fatalf("no set is half shown: %+v, %v", now, err)
	}
}

// doesUnder does steps of a stage under its role, and gives what their receipts warn of.
func (p *pair) doesUnder(w workload.Workload, s understudy.Stage, steps []understudy.Step) (warnings []string) {
	p.t.Helper()
	for _, step := range steps {
		r, err := w.Do(p.t.Context(), step, p.runOf(s))
		must(p.t, err)
		warnings = append(warnings, r.Warnings...)
		for _, proof := range r.Proofs {
			if !proof.Complete {
				p.t.Errorf("%s: %+v", step.ID, proof)
			}
		}
	}
	return warnings
}

// runOf is a run of a stage under its role.
func (p *pair) runOf(s understudy.Stage) understudy.Run {
	run := p.run()
	run.Now, run.Stage, run.Operation = s.Now, s.Name, s.Operation
	run.Role = func(context.Context) (understudy.Role, error) { return s.Now, nil }
	return run
}

// under is a stage under the role of an epoch, with east active.
func (p *pair) under(e understudy.RoleEpoch, v understudy.Verb, name understudy.StageName) understudy.Stage {
	s := p.stage(v, name, nil)
	s.Now.Epoch, s.Before.Epoch, s.After.Epoch = e, e, e
	return s
}

// runsUnder does some stages of a run under a role, and runsBack from west to east.
func (p *pair) runsUnder(w workload.Workload, e understudy.RoleEpoch, operation string, stages ...understudy.StageName) {
	p.t.Helper()
	p.runsFrom(w, p.under(e, understudy.Replicate, ""), operation, stages...)
}

func (p *pair) runsBack(w workload.Workload, e understudy.RoleEpoch, operation string, stages ...understudy.StageName) {
	p.t.Helper()
	s := p.under(e, understudy.Replicate, "")
	s.Old, s.To = s.To, s.Old
	p.runsFrom(w, s, operation, stages...)
}

func (p *pair) runsFrom(w workload.Workload, s understudy.Stage, operation string, stages ...understudy.StageName) {
	p.t.Helper()
	for _, name := range stages {
		s.Name, s.Operation = name, understudy.OperationID(operation)
		steps, err := p.decided(w, s)
		must(p.t, err)
		p.doesUnder(w, s, steps)
	}
}

// ready are the stages of a run up to a set that is staged whole.
func ready() []understudy.StageName {
	return []understudy.StageName{understudy.StageCapture, understudy.StageCopy, understudy.StageProve}
}

// outlives has a set of a link half shown in the first tree, and another link beside it, whose set is shown or staged. It gives what the first tree is to
// show when that is over.
func (p *pair) outlives(w workload.Workload, shown bool) (want string) {
	must(p.t, p.write(p.t.Context(), east, 6))
	p.runsUnder(w, 1, "op-1", append(ready(), understudy.StagePublish)...)
	must(p.t, p.write(p.t.Context(), east, 4))
	p.runsUnder(w, 1, "op-2", ready()...)
	p.showsInPart("e1")
	want = content(p.root[east] + trees()[0])
	must(p.t, p.write(p.t.Context(), east, 4))
	p.runsUnder(w, 3, "op-3", ready()...)
	if shown {
		p.runsUnder(w, 3, "op-3", understudy.StagePublish)
		want = content(p.root[east] + trees()[0])
	}
	return want
}

// garbles makes what a link keeps at west unreadable: no JSON at all, or another one than was kept, or, without text, what no read gives.
func (p *pair) garbles(folder, text string) {
	p.t.Helper()
	all, err := filepath.Glob(p.folder(west, trees()[0]) + "/" + folder + "/kept/*/head.json")
	if err != nil || len(all) != 1 {
		p.t.Fatalf("%s keeps %q, %v", folder, all, err)
	}
	if text != "" {
		must(p.t, os.WriteFile(all[0], []byte(text), 0o600))
		return
	}
	must(p.t, os.Remove(all[0]))
	must(p.t, os.Mkdir(all[0], 0o700))
}

// garbled are ways in which a document cannot be read.
func garbled() map[string]string {
	return map[string]string{"no JSON": `{"sha256`, "another sum": `{"sha256":"00","body":{"format":1}}`, "a failed read": ""}
}

// TestAnOlderLinksSetIsNotFinished halts where a link was begun anew while a set of the one before it was half shown, as after an abort that did not
// reach the target. Once the later one has shown a set, the older one is given up, also when the halt is repeated, or was cut off between the two folders,
// or cut off and decided anew, or when nobody can read what the older one keeps; before, it is finished. Which of both is said beforehand.
func TestAnOlderLinksSetIsNotFinished(t *testing.T) {
	const outlived, finishes = "give up the older set of /data/curated in e1", "finish the older set of /data/curated in e1"
	cases := map[string]struct {
		shown, cutOff, anew, garbled bool
		text, says, told             string
	}{
		"a later link has shown a set":     {shown: true, told: outlived, says: "half shown in halted-e1 was older"},
		"the halt was cut off":             {shown: true, cutOff: true, told: outlived, says: "half shown in halted-e1 was older"},
		"the halt was cut off and decided": {shown: true, cutOff: true, anew: true},
		"a later link has staged a set":    {told: finishes},
	}
	for name, text := range garbled() {
		c := cases["a later link has shown a set"]
		c.garbled, c.text, c.says, c.told = true, text, "what halted-e1 keeps cannot be read", "give up what is staged in e1"
		cases["the older one is garbled: "+name] = c
		// Nobody reads it any more then.
		c.cutOff, c.anew, c.says, c.told = true, true, "", ""
		cases["the halt was cut off and decided, garbled: "+name] = c
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			w := p.opened(t)
			want := p.outlives(w, c.shown)
			if c.garbled {
				p.garbles("e1", c.text)
			}
			halt := p.under(4, understudy.Failover, understudy.StageHalt)
			halt.Before.Epoch = 3
			if c.anew {
				p.bars("e1", trees()...)
			}
			steps, err := p.decided(w, halt)
			must(t, err)
			if !strings.Contains(steps[0].Summary, c.told) || c.told == "" && strings.Contains(steps[0].Summary, " in e1") {
				t.Errorf("the halt is to %s", steps[0].Summary)
			}
			if c.cutOff {
				p.bars("e1", trees()[0])
			}
			for range 2 {
				warnings := strings.Join(p.doesUnder(w, halt, steps), "\n")
				if now := content(p.root[west] + trees()[0]); now != want {
					t.Fatalf("after the halt west shows\n%sand not\n%s", now, want)
				}
				if !strings.Contains(warnings, c.says) || c.says == "" && strings.Contains(warnings, "halted-e1") {
					t.Errorf("the halt warns %q", warnings)
				}
				staged, err := filepath.Glob(p.folder(west, trees()[0]) + "/halted-e1/staging/*")
				if err != nil || len(staged) > 0 {
					t.Errorf("still staged: %q, %v", staged, err)
				}
			}
		})
	}
}

// TestAHaltedSetOfAnotherIsLeft has a control plane that is lost die in its halt, after the bar, with a set half shown. What another one's halt decides knows
// nothing of that, and neither shows it over newer files nor takes it away, whether it can be read or not.
func TestAHaltedSetOfAnotherIsLeft(t *testing.T) {
	for name, spoil := range map[string]func(*pair){
		"whole":             func(*pair) {},
		"its list is gone":  func(p *pair) { p.losesList("halted-e5") },
		"it cannot be read": func(p *pair) { p.garbles("halted-e5", "") },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			w := p.opened(t)
			must(t, p.write(t.Context(), east, 6))
			p.runsUnder(w, 5, "op-1", append(ready(), understudy.StagePublish)...)
			must(t, p.write(t.Context(), east, 4))
			p.runsUnder(w, 5, "op-2", ready()...)
			p.showsInPart("e5")
			p.bars("e5", trees()...)
			must(t, p.write(t.Context(), west, 2))
			spoil(p)
			// Nothing is cached.
			p.open.DataDir = t.TempDir()
			w = p.opened(t)
			was := content(p.root[west] + trees()[0])
			staging := p.folder(west, trees()[0]) + "/halted-e5/staging"
			staged := content(staging)
			halt := p.under(7, understudy.Abort, understudy.StageHalt)
			steps, err := p.decided(w, halt)
			must(t, err)
			if len(steps) == 0 {
				t.Fatal("nothing is halted")
			}
			p.doesUnder(w, halt, steps)
			if now := content(p.root[west] + trees()[0]); now != was {
				t.Errorf("after the halt west shows\n%sand not\n%s", now, was)
			}
			if now := content(staging); now != staged || staged == "" {
				t.Errorf("after the halt there is staged\n%sand not\n%s", now, staged)
			}
		})
	}
}

// bars puts a file in the place of a link's folder beside trees of west.
func (p *pair) bars(folder string, trees ...string) {
	p.t.Helper()
	for _, tree := range trees {
		must(p.t, place.Local(p.root[west]).Tree(tree).Bar(p.t.Context(), folder, "halted-"+folder))
	}
}

// losesList removes the lists of sets that a link keeps at west.
func (p *pair) losesList(folder string) {
	p.t.Helper()
	all, err := filepath.Glob(p.folder(west, trees()[0]) + "/" + folder + "/kept/*/*")
	must(p.t, err)
	gone := 0
	for _, name := range all {
		if filepath.Ext(name) != ".json" && !strings.HasPrefix(filepath.Base(name), "showing-") {
			must(p.t, os.RemoveAll(name))
			gone++
		}
	}
	if gone == 0 {
		p.t.Fatalf("%s keeps no list among %q", folder, all)
	}
}

// TestASetOfALostControlPlane removes nothing but the stamps of a control plane that is lost while it shows a set, or before it does. Another one is refused
// before anything is changed, and an abort leaves what is there. With understudy's folders out of the way it protects.
func TestASetOfALostControlPlane(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*stagehand){
		"staged whole":  (*stagehand).stages,
		"shown in part": (*stagehand).beginsToShow,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var hand *stagehand
			e := story{prepare: func(s *stagehand) { hand = s; prepare(s) }}.estate(t)
			old := controltest.Start(t, e.Setup)
			old.Apply()
			e.Prepare(old)
			old.Kill()
			e.Setup.DataDir = t.TempDir()
			hand.p = controltest.Start(t, e.Setup)
			t.Cleanup(hand.p.Stop)
			hand.p.Apply()
			hand.refusedByWhatIsLeft()
		})
	}
}

// TestProtectGoesOnWithItsOwnSet protects once more, with the same control plane, while a set of it is half shown: it is finished, and a failover shows
// the last one.
func TestProtectGoesOnWithItsOwnSet(t *testing.T) {
	t.Parallel()
	var hand *stagehand
	e := story{prepare: func(s *stagehand) { hand = s; s.beginsToShow() }}.estate(t)
	p := controltest.Start(t, e.Setup)
	t.Cleanup(p.Stop)
	p.Apply()
	e.Prepare(p)
	hand.do(understudy.Protect, control.Committed)
	must(t, hand.same(t.Context()))
	hand.shows = hand.text(hand.root[west])
	hand.loses()
	p.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, control.CommitWindow)
	must(t, hand.westShows(hand.shows))
}

// stages has a run that is cut off when its set is ready in both trees.
func (s *stagehand) stages() {
	s.protected()
	w := s.opened(s.t)
	for _, stage := range ready() {
		must(s.t, s.does(w, understudy.Replicate, stage))
	}
}

// refusesToProtect wants a protect to be refused, and its abort to leave all as it is.
func (s *stagehand) refusesToProtect(code understudy.Code) control.Operation {
	s.t.Helper()
	was := s.beside()
	op := s.p.Do(control.StartRequest{Verb: understudy.Protect}, control.PausedByStep)
	wants(s.t, code, op.Error)
	if aborted := s.p.Act(s.p.Abort, control.ActRequest{Operation: op.ID}); aborted.State != control.Aborted {
		s.t.Fatalf("the abort is %s: %v", aborted.State, aborted.Error)
	}
	if now := s.beside(); now != was {
		s.t.Fatalf("the abort has left\n%sof\n%s", now, was)
	}
	return op
}

func (s *stagehand) refusedByWhatIsLeft() {
	s.refusesToProtect("US252")
	for _, tree := range trees() {
		s.opens(s.root[east] + tree)
		for site := range s.root {
			must(s.t, os.Remove(s.folder(site, tree)+"/kept/stamp.json"))
		}
	}
	op := s.refusesToProtect("US745")
	if op.Stage != understudy.StageCheck || op.Error.Object.Site != west || op.Error.Object.Shard != trees()[0] || !strings.Contains(op.Error.Fix, "/data/.curated.understudy") {
		s.t.Errorf("at %s: %+v", op.Stage, op.Error)
	}
	for _, tree := range trees() {
		must(s.t, os.Rename(s.folder(west, tree), s.folder(west, tree)+".lost"))
	}
	s.do(understudy.Protect, control.Committed)
	must(s.t, s.same(s.t.Context()))
}

// beside is what lies beside the trees, and in them.
func (s *stagehand) beside() (out string) {
	for _, site := range []understudy.Site{east, west} {
		out += s.text(s.root[site])
		for _, tree := range trees() {
			if _, err := os.Stat(s.folder(site, tree)); !errors.Is(err, os.ErrNotExist) {
				out += content(s.folder(site, tree))
			}
		}
	}
	return out
}
