package storage

import (
	"fmt"
	"slices"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// reprotect fences the old primary, saves what it alone has, and makes it the new one's secondary.
func (p *plan) reprotect() {
	source, target := p.stage.Old, p.stage.To
	link := stepArgs{From: source, Folder: live(p.stage.Now.Epoch)}
	switch p.stage.Name {
	case understudy.StageCheck:
		// Before the links are ended.
		p.checkLeft(target)
	case understudy.StageFence:
		p.checkTarget()
		p.checkLeft(target)
		p.know(source, target)
		p.stamp(target)
		p.fence(target)
	case understudy.StageScan:
		p.add(stepScan, understudy.Idempotent, target, "find what only this side has", link, nil)
	case understudy.StageLedger:
		p.add(stepLedger, understudy.ProbeFirst, target, "list what only this side has, and keep it in the quarantine", link, nil).Timeout = copyTimeout
	case understudy.StageReverse:
		p.checkSource()
		p.whole()
		p.add(stepClean, understudy.Idempotent, target, "drop what is needed no more", p.args(""), nil)
	default: // the fence is the guard, and what diverged is in the quarantine already
	}
}

// back is the way back of an unfinished takeover, or of a protect.
func (p *plan) back() {
	old, to := p.stage.Old, p.stage.To
	switch p.stage.Name {
	case understudy.StageLevel:
		if _, begun := p.stage.Receipt(stepHalt); begun {
			p.add(stepLevel, understudy.Idempotent, old, "prove that the old side holds all that the halted side shows", stepArgs{From: to}, nil)
		}
	case understudy.StageRestore:
		p.add(stepUntouched, understudy.Idempotent, to, "prove that the new side was never opened", stepArgs{}, nil)
	case understudy.StageUnfence:
		p.stamp(old, to)
		if p.closed(old) && !p.unread(old) {
			p.mustLetIn(old)
		}
		if p.there(old) || p.unread(old) {
			p.open(old, p.images(old, true))
		}
	case understudy.StageFollow:
		if p.there(to) {
			p.add(stepAdopt, understudy.ProbeFirst, to, "let the link go on under the new role", stepArgs{From: old, Folder: live(p.stage.Now.Epoch)}, nil)
		}
	case understudy.StageHalt, understudy.StageUnguard, understudy.StageRelease:
		p.unprotect()
	default: // nothing is to be done at the others
	}
}

// closed says whether understudy closed a root at a site, as far as the memory tells.
func (p *plan) closed(s understudy.Site) bool {
	return slices.ContainsFunc(p.w.cfg.Trees, func(t Tree) bool { return len(p.stage.Kept[keepClosed(s, t.Path)]) > 0 })
}

// unprotect takes back what was put in place.
func (p *plan) unprotect() {
	old, to := p.stage.Old, p.stage.To
	var gone []understudy.Site
	for _, s := range []understudy.Site{old, to} {
		_, let := p.stage.Envelope.Accepted(s)
		if p.stage.Verb != understudy.Unprotect || p.there(s) || p.seen.Sites[s].Presence == workload.Absent {
			continue
		}
		if gone = append(gone, s); !let {
			e := p.w.refuse("US702", s, "", "the site does not answer, and what was put in place there would stay",
				fmt.Sprintf("bring it back and retry; if it is lost for good, `understudy unprotect %s --let-go %s --as NAME`", p.stage.Plan, s))
			if cause := p.seen.Sites[s].Error; cause != nil {
				e.Why = cause.Error()
			}
			p.refuse(e)
			return
		}
	}
	switch p.stage.Name {
	case understudy.StageHalt:
		if p.there(to) && len(p.epochs()) > 0 {
			p.add(stepHalt, understudy.ProbeFirst, to, "bar the folder of the link", stepArgs{From: old, Epochs: p.epochs()}, nil)
		}
	case understudy.StageUnguard:
		if images := p.images(to, true); p.there(to) && len(images) > 0 {
			p.open(to, images)
		}
	case understudy.StageRelease:
		if p.stage.Now.Epoch == 0 {
			// No role was ever opened here, so what lies beside the trees is another control plane's.
			return
		}
		for _, s := range []understudy.Site{old, to} {
			switch {
			case p.there(s):
				p.add(stepLeave, understudy.Idempotent, s, "take away snapshots, stamps and understudy's folders", p.leaving(s), nil)
			case p.stage.Verb == understudy.Abort:
				// What lies there stays, and nobody looks after it any more: the next protect has to look, as at another's.
				p.add(stepRemember, understudy.Idempotent, s, "forget that the site is protected", stepArgs{Drop: append(p.treesKept(s), keepStore(s))}, nil).Site = ""
			}
		}
		for _, s := range gone {
			a := p.leaving(s)
			a.Notes = append(a.Notes, fmt.Sprintf("%s was let go: its closed roots, stamps, snapshots and understudy's folders stay there", s))
			p.add(stepRemember, understudy.Idempotent, s, "forget the site that was let go", stepArgs{Drop: a.Drop, Notes: a.Notes}, nil).Site = ""
		}
	default: // nothing is to be done at the others
	}
}

// leaving says what understudy made at a site beside its folders.
func (p *plan) leaving(s understudy.Site) stepArgs {
	a := stepArgs{Drop: append(p.treesKept(s), keepStore(s), keepCut)}
	for _, t := range p.w.cfg.Trees {
		if given, _ := remembered[bool](p.stage.Kept, keepSnapshots(s, t.Path)); given {
			a.Given = append(a.Given, t.Path)
		}
		a.Drop = append(a.Drop, keepOpen(t.Path), keepSnapshots(s, t.Path), keepClosed(s, t.Path))
	}
	return a
}
