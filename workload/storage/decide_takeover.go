package storage

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
)

// takeover is a switchover, a failback, a rollback or a failover.
func (p *plan) takeover() {
	old, to := p.stage.Old, p.stage.To
	switch p.stage.Name {
	case understudy.StageCheck:
		p.checkSource()
		p.checkFence()
		p.checkLeft(to)
	case understudy.StageProvision:
		p.checkTarget()
		p.checkLeft(to)
		p.know(to)
	case understudy.StageFence:
		p.stamp(old, to)
		p.fence(old)
	case understudy.StageDrain:
		p.whole()
		p.add(stepDrained, understudy.Idempotent, to, "prove that the target shows all that the fenced source holds", p.args(""), nil)
	case understudy.StageSalvage:
		p.salvage()
	case understudy.StageHalt:
		p.halt()
	case understudy.StageCut:
		p.add(stepCut, understudy.Idempotent, to, "read which set the target shows", p.args(""), nil)
	case understudy.StagePromote:
		if p.there(old) || p.unread(old) {
			p.add(stepFenced, understudy.Idempotent, old, "prove the fence again", stepArgs{}, nil)
		}
		p.add(stepHalted, understudy.Idempotent, to, "prove the halt again", stepArgs{From: old, Epochs: p.epochs()}, nil)
	case understudy.StageEnable:
		p.stamp(to, old)
		p.open(to, p.images(to, false))
	case understudy.StageProve:
		p.add(stepOpened, understudy.Idempotent, to, "prove that the trees are open and take a write", stepArgs{Images: p.images(to, false)}, nil)
	default: // the old primary stays closed, so it is guarded; the reverse link begins with its first run
	}
}

// salvage rolls forward what is staged and proved, and then takes what the old side still gives.
func (p *plan) salvage() {
	old := p.there(p.stage.Old)
	if run, asked, ok := p.forwardable(); ok {
		p.forward(run, asked)
		if !old {
			p.add(stepShown, understudy.Idempotent, p.stage.To, "say which set is shown", p.args(""), nil)
		}
	}
	if old {
		p.whole()
		p.skippable()
	} else if e := p.seen.Sites[p.stage.Old].Error; p.unread(p.stage.Old) && e != nil {
		text := fmt.Sprintf("nothing newer is taken from %s, which answers and cannot be read: %s", p.stage.Old, e.Error())
		p.add(stepRemember, understudy.Idempotent, p.stage.To, "say why nothing is salvaged", stepArgs{Notes: []string{text}}, nil)
	}
}

// forward shows the set of a run that was cut off.
func (p *plan) forward(run string, asked time.Time) {
	for _, t := range p.facts.Sites[p.stage.To].Trees {
		text := fmt.Sprintf("roll %s forward to the set that run %s captured at %s and staged whole", t.Path, run, asked.UTC().Format(time.RFC3339))
		if halfShown(t.Standing) {
			text += "; part of it is shown already"
		}
		p.add(stepForward, understudy.ProbeFirst, p.stage.To, text, p.args(t.Path), nil).Timeout = copyTimeout
	}
}

// skippable lets a person leave out the steps so far: what they add is welcome, and nothing depends on it.
func (p *plan) skippable() {
	for i := range p.steps {
		p.steps[i].Skippable = true
	}
}

// epochs are those of all links that may still write into the target: every folder that is there, and that of the link's own role.
func (p *plan) epochs() []understudy.RoleEpoch {
	now := p.stage.Now.Epoch
	out := []understudy.RoleEpoch{p.stage.Before.Epoch}
	for _, t := range p.facts.Sites[p.stage.To].Trees {
		for _, name := range t.Live {
			out = append(out, folderEpoch(name))
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(e understudy.RoleEpoch) bool { return e <= 0 || e > now })
}

// halt makes later writes of a run that was cut off be refused.
func (p *plan) halt() {
	text := "bar the folder of the old link, so that a late mover can show nothing more"
	for _, t := range p.facts.Sites[p.stage.To].Trees {
		switch {
		case halfShown(t.Standing):
			text += fmt.Sprintf("; finish the set of %s, of which a part is shown", t.Path)
		case t.Standing.Ready != nil:
			text += fmt.Sprintf("; give up the set of %s that is staged and not shown", t.Path)
		}
		text += t.olderSets(shows(t.Standing))
	}
	p.add(stepHalt, understudy.ProbeFirst, p.stage.To, text, stepArgs{From: p.stage.Old, Epochs: p.epochs()}, nil)
	p.add(stepHalted, understudy.Idempotent, p.stage.To, "prove that the folder is barred", stepArgs{From: p.stage.Old, Epochs: p.epochs()}, nil)
}

// olderSets says what becomes of the sets of links before the newest one; later says that a link behind them shows one.
func (t treeFacts) olderSets(later bool) (text string) {
	older := slices.SortedFunc(slices.Values(t.Left), func(a, b string) int { return cmp.Compare(folderEpoch(b), folderEpoch(a)) })
	for _, folder := range older {
		part := slices.Contains(t.Parts, folder)
		switch {
		case folder == t.newest():
		case part && later:
			text += fmt.Sprintf("; give up the older set of %s in %s, of which a part was shown before a later link showed another one", t.Path, folder)
		case part:
			text += fmt.Sprintf("; finish the older set of %s in %s, of which a part is shown, unless a later one is shown by then", t.Path, folder)
		default:
			text += fmt.Sprintf("; give up what is staged in %s of %s", folder, t.Path)
		}
		later = later || part
	}
	return text
}

// newest is the live folder of the highest epoch.
func (t treeFacts) newest() string {
	return slices.MaxFunc(append([]string{""}, t.Live...), func(a, b string) int { return cmp.Compare(folderEpoch(a), folderEpoch(b)) })
}

// release makes a takeover final.
func (p *plan) release() {
	// What was kept for the way back is the halted link's manifest; the reverse link needs it for its first run.
}
