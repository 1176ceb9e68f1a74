package storage

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/workload"
)

// How long single steps may take. Copying is bounded by the lease, and by people.
const (
	settleTimeout = 10 * time.Minute
	copyTimeout   = 30 * 24 * time.Hour
)

// liveFolder is the folder in which the link into a site works: that of the role under which it began.
func (p *plan) liveFolder(to understudy.Site) string {
	if !p.stage.Now.None() {
		return live(p.stage.Now.Epoch)
	}
	best := understudy.RoleEpoch(0)
	for _, t := range p.facts.Sites[to].Trees {
		for _, name := range t.Live {
			best = max(best, folderEpoch(name))
		}
	}
	if best == 0 {
		return live(p.stage.Before.Epoch)
	}
	return live(best)
}

// args gives what every step of a run knows.
func (p *plan) args(tree string) stepArgs {
	folder := p.liveFolder(p.stage.To)
	// What a reprotect kept as diverged is moved out of the tree, and has to come again.
	return stepArgs{
		From: p.stage.Old, Folder: folder, Tree: tree, Engine: p.engine(),
		Repair: p.stage.Verb == understudy.Reprotect || slices.Contains(p.stage.Sweeps, understudy.Repair) || p.uncompared(tree, folder),
		Relist: slices.Contains(p.stage.Sweeps, understudy.Relist),
	}
}

// each adds one step for each tree.
func (p *plan) each(kind understudy.StepKind, class understudy.Class, text string) {
	for _, t := range p.w.cfg.Trees {
		a := p.args(t.Path)
		if kind == stepCapture || kind == stepCopy {
			a.Consent = p.consent(t.Path)
		}
		st := p.add(kind, class, p.stage.To, fmt.Sprintf("%s %s", text, t.Path), a, nil)
		st.Timeout = copyTimeout
	}
}

// capture fixes a state of each tree of the source, and remembers what its roots look like while they are open.
func (p *plan) capture() {
	doc := map[string]json.RawMessage{}
	for _, t := range p.facts.Sites[p.stage.Old].Trees {
		// Kept in the names of home, whichever side is open.
		now := p.w.seenFrom(p.w.spec.Home, p.stage.Old, t.Root)
		if kept, ok := remembered[image](p.stage.Kept, keepOpen(t.Path)); !t.Closed && t.There && (!ok || kept.String() != now.String()) && !t.Root.gated() {
			doc[keepOpen(t.Path)] = encode(now)
		}
		if t.Snapshots == "off" && p.facts.Sites[p.stage.Old].Identity.Super {
			p.add(stepSnapshots, understudy.Idempotent, p.stage.Old, "make the root snapshottable", stepArgs{Tree: t.Path}, false)
		}
	}
	if len(doc) > 0 {
		p.add(stepRemember, understudy.Idempotent, p.stage.Old, "remember who owns the roots", stepArgs{Keep: doc}, nil)
	}
	p.each(stepCapture, understudy.ProbeFirst, "capture")
}

func (p *plan) copy() {
	p.each(stepCopy, understudy.ProbeFirst, p.engine().stages("stage what changed of"))
}
func (p *plan) staged() {
	p.add(stepStaged, understudy.Idempotent, p.stage.To, "prove that what is staged is what was captured", p.args(""), nil)
}

func (p *plan) publish() {
	p.each(stepPublish, understudy.ProbeFirst, "show the new set of")
	a := p.args("")
	a.Keep = p.compared()
	p.add(stepShown, understudy.Idempotent, p.stage.To, "say which set is shown", a, nil)
}

// whole adds a run from beginning to end.
func (p *plan) whole() {
	p.capture()
	p.copy()
	p.staged()
	p.publish()
}

// replicate is one scheduled run.
func (p *plan) replicate() {
	switch p.stage.Name {
	case understudy.StageCheck:
		p.checkSource()
		p.checkConsents()
		// The plan may have got a tree since the last run.
		p.checkLeft(p.stage.Old, p.stage.To)
	case understudy.StageProvision:
		p.checkTarget()
		p.checkLeft(p.stage.To)
		p.know(p.stage.Old, p.stage.To)
		// An earlier version protected a store without a name where that was silent. The next run remembers it.
		p.name(p.stage.Old, p.stage.To)
	case understudy.StageCapture:
		p.capture()
	case understudy.StageCopy:
		p.copy()
	case understudy.StageProve:
		p.staged()
	case understudy.StagePublish:
		p.publish()
	case understudy.StageRelease:
		if p.there(p.stage.To) {
			p.add(stepClean, understudy.Idempotent, p.stage.To, "drop what is needed no more", p.args(""), nil)
		}
	default: // nothing is to be done at the others
	}
}

// checkSource refuses what must not be copied.
func (p *plan) checkSource() {
	p.mustAnswer(p.stage.Old, "the source does not answer", "bring it back; a later run begins by schedule")
	p.checkFit(p.stage.Old)
	source := p.facts.Sites[p.stage.Old]
	for _, t := range source.Trees {
		if !t.There {
			p.refuse(p.w.refuse("US704", p.stage.Old, t.Path, "the tree is not there", "mount or restore it, or correct the plan"))
		}
		// Who is no superuser makes nothing snapshottable, and lists.
		if summary, fix := t.nesting(); t.There && source.Identity.Super && summary != "" {
			p.refuse(p.w.refuse("US715", p.stage.Old, t.Path, summary, fix))
		}
	}
}

// unfitFix is what to do about a tree in an encryption zone.
const unfitFix = "let the tree lie outside of encryption zones at every site: understudy has no keys"

// checkFit refuses a root that nobody could copy.
func (p *plan) checkFit(s understudy.Site) {
	for _, t := range p.facts.Sites[s].Trees {
		if t.Unfit != "" {
			p.refuse(p.w.refuse("US618", s, t.Path, t.Unfit, unfitFix))
		}
	}
}

// checkTarget refuses a target into which the mover could not write, or that is open to its users although it was closed.
func (p *plan) checkTarget() {
	p.mustLetIn(p.stage.To)
	p.checkKnown(p.stage.To)
	p.checkEngine()
	p.checkFit(p.stage.To)
	id := p.facts.Sites[p.stage.To].Identity
	for _, t := range p.facts.Sites[p.stage.To].Trees {
		if t.There && !id.Super && t.Root.Owner != "" && t.Root.Owner != id.User {
			p.refuse(p.w.refuse("US705", p.stage.To, t.Path, fmt.Sprintf("the root belongs to %s, and understudy runs as %s", t.Root.Owner, id.User),
				rightsFix))
		}
	}
	p.checkGiving()
}

// rightsFix is what to do about a root of somebody else.
const rightsFix = "make understudy's user a superuser of the store; to own the root is enough only where every file of the tree is its own"

// checkGiving refuses a target at which understudy could not give the files to whom they belong: after a takeover nobody else would get in.
func (p *plan) checkGiving() {
	old, to := p.stage.Old, p.stage.To
	if !p.there(to) {
		return
	}
	for i, t := range p.facts.Sites[to].Trees {
		want, known := p.images(to, false)[t.Path]
		if p.there(old) {
			if s := p.facts.Sites[old].Trees[i]; s.There && !s.Closed {
				want, known = p.w.seenFrom(to, old, s.Root), true
			}
		}
		if known {
			p.refuseUngiven(to, t, want)
		}
	}
}

func (p *plan) refuseUngiven(to understudy.Site, t treeFacts, want image) {
	if summary := ungiven(p.facts.Sites[to].Identity, t, want); summary != "" {
		p.refuse(p.w.refuse("US738", to, t.Path, summary, givingFix))
	}
}

// protect begins the protection: the first run is a whole one.
func (p *plan) protect() {
	switch p.stage.Name {
	case understudy.StageCheck:
		if summary := oneStore(p.facts, p.stage.Old, p.stage.To); summary != "" {
			p.refuse(p.w.refuse("US703", p.stage.To, "", summary, apartFix))
		}
		p.checkSource()
		p.checkLeft(p.stage.Old, p.stage.To)
		p.checkBar(p.stage.To)
	case understudy.StageProvision:
		p.checkTarget()
		p.checkFirst()
		p.name(p.stage.Old, p.stage.To)
	case understudy.StageCreate:
		p.checkFirst()
		p.stamp(p.stage.Old, p.stage.To)
		p.know(p.stage.Old, p.stage.To)
	case understudy.StageGuard:
		p.close(p.stage.To)
	case understudy.StageBootstrap:
		p.whole()
		p.add(stepClean, understudy.Idempotent, p.stage.To, "drop what is needed no more", p.args(""), nil)
	default: // nothing is to be done at the others
	}
}

// checkFirst refuses a target of which it is not known what lies there: the first role's epoch has to be higher than all that both sites have. One that is
// absent by plan, in a dry run, is made before that.
func (p *plan) checkFirst() {
	if p.seen.Sites[p.stage.To].Presence != workload.Absent {
		p.mustAnswer(p.stage.To, "the target does not answer, and nothing is known of what lies there", "bring it back, and retry")
	}
	p.checkLeft(p.stage.To)
	p.checkBar(p.stage.To)
}

// forwardable says whether every tree of the target has the same run's set, ready or shown already, and at least one of them is not shown.
func (p *plan) forwardable() (run string, asked time.Time, ok bool) {
	open := false
	for _, t := range p.facts.Sites[p.stage.To].Trees {
		set := t.Standing.Published
		if t.Standing.Ready != nil {
			set, open = t.Standing.Ready, true
		}
		if set == nil || run != "" && set.Run != run {
			return "", time.Time{}, false
		}
		run, asked = set.Run, earliest(asked, set.Asked)
	}
	return run, asked, open
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// halfShown says whether publishing of a tree's ready set has begun.
func halfShown(s filecopy.Standing) bool { return s.Ready != nil && s.Shown }
