package storage

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// keepTree is the name under which a tree of a site is remembered as protected: false since before a link's folder was made there, true once what stands
// there is known, because the tree was the source, or because a link has shown a set and compared all of the tree with it.
func keepTree(s understudy.Site, tree string) string { return "tree/" + string(s) + tree }

// known says whether a tree of a site is protected by what is remembered, and whether it was compared since that began. What an earlier version remembered
// names the store alone, and means all trees; of one that was silent it kept an empty name, and what was compared there is not known.
func (p *plan) known(s understudy.Site, tree string) (ours, compared bool) {
	if compared, ours = remembered[bool](p.stage.Kept, keepTree(s, tree)); ours {
		return true, compared
	}
	store, kept := remembered[string](p.stage.Kept, keepStore(s))
	legacy := kept && len(p.treesKept(s)) == 0
	return legacy, legacy && store != ""
}

// treesKept lists under which names trees of a site are remembered.
func (p *plan) treesKept(s understudy.Site) (names []string) {
	for name := range p.stage.Kept {
		if strings.HasPrefix(name, keepTree(s, "/")) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// know has the trees of sites remembered as protected, and their stores with them, before a link's folder is made there. It forgets those that the plan has
// no longer: nobody looks after them.
func (p *plan) know(sites ...understudy.Site) {
	a := stepArgs{Keep: map[string]json.RawMessage{}}
	for _, s := range sites {
		if !p.there(s) {
			continue
		}
		id := p.facts.Sites[s].Identity
		if store, _ := remembered[string](p.stage.Kept, keepStore(s)); store == "" && !id.Unnamed {
			a.Keep[keepStore(s)] = encode(id.Name)
		}
		gone := p.treesKept(s)
		for _, t := range p.w.cfg.Trees {
			name := keepTree(s, t.Path)
			if _, compared := p.known(s, t.Path); !slices.Contains(gone, name) {
				a.Keep[name] = encode(compared || s == p.stage.Old)
			}
			gone = slices.DeleteFunc(gone, func(n string) bool { return n == name })
		}
		a.Drop = append(a.Drop, gone...)
	}
	if len(a.Keep)+len(a.Drop) > 0 {
		p.add(stepRemember, understudy.Idempotent, p.stage.To, "remember which stores and trees are protected", a, nil)
	}
}

// uncompared says whether the link into a tree goes on in a folder of which it is not known what was written into the tree since: its protection ended where
// nobody could take the folder away, and has begun anew.
func (p *plan) uncompared(tree, folder string) bool {
	ours, compared := p.known(p.stage.To, tree)
	return ours && !compared && slices.ContainsFunc(p.facts.Sites[p.stage.To].Trees, func(t treeFacts) bool {
		return t.Path == tree && slices.Contains(t.Live, folder)
	})
}

// compared gives what is to be remembered when the target shows a set.
func (p *plan) compared() map[string]json.RawMessage {
	doc := map[string]json.RawMessage{}
	for _, t := range p.w.cfg.Trees {
		if ours, compared := p.known(p.stage.To, t.Path); ours && !compared {
			doc[keepTree(p.stage.To, t.Path)] = encode(true)
		}
	}
	return doc
}

// checkLeft refuses a tree beside which something lies that a takeover would take for the present link's. A set that is ready, or shown in part, although
// nothing is remembered of a protection of that tree: whoever began it is lost, or had let the site go, and nobody knows what was written since. And the
// folder of a link whose role is later than ours, whatever it holds: it would count as the newest. Where the tree is ours that is a journal from before an
// aborted takeover, which was restored; a takeover goes on beside it, since its fence lifts the role above all that is there, and its halt covers all that.
func (p *plan) checkLeft(sites ...understudy.Site) {
	for _, s := range sites {
		if !p.there(s) {
			continue
		}
		for _, t := range p.facts.Sites[s].Trees {
			folder, now := place.FolderOf(t.Path), p.stage.Now.Epoch
			later := slices.DeleteFunc(slices.Clone(t.Live), func(name string) bool { return now == 0 || folderEpoch(name) <= now })
			ours, _ := p.known(s, t.Path)
			summary := ""
			if !ours && len(t.Left) > 0 {
				summary = fmt.Sprintf("a set that an earlier protection staged, or showed in part, lies in %s/%s", folder, strings.Join(t.Left, ", "))
			} else if len(later) > 0 && !(ours && p.takesOver()) {
				summary = fmt.Sprintf("another protection has left %s/%s, of a later role than the present one, whose epoch is %d", folder, strings.Join(later, ", "), now)
			}
			if summary == "" {
				continue
			}
			e := p.w.refuse("US745", s, t.Path, summary,
				fmt.Sprintf("make sure that nothing of the earlier protection runs any more, move all of %s away at %s, and retry", folder, s))
			e.Why = "a takeover would show what lies there, over files that are newer"
			p.refuse(e)
		}
	}
}

// checkBar refuses a protect whose link would work in a folder that is barred: an unprotect halted the link and was then aborted, or let the site go, and the
// role is still the one under which the folder was made. Only an unprotect that comes to its end takes the bar away.
func (p *plan) checkBar(s understudy.Site) {
	folder := p.liveFolder(s)
	for _, t := range p.facts.Sites[s].Trees {
		if !slices.Contains(t.Barred, folder) {
			continue
		}
		e := p.w.refuse("US749", s, t.Path, fmt.Sprintf("an unprotect that did not come to its end has barred %s/%s, in which the link would work", place.FolderOf(t.Path), folder),
			fmt.Sprintf("abort this protect, then `understudy unprotect %[1]s`, and `understudy protect %[1]s`", p.stage.Plan))
		e.Why = "a mover of before may be late, and the bar is what refuses it"
		p.refuse(e)
	}
}

// checkKnown refuses to go on to a silent site of which something is not remembered. When it is back, its store could not be told from another, nor what a run
// stages there from what somebody else has left, so nobody could take over.
func (p *plan) checkKnown(s understudy.Site) {
	if p.seen.Sites[s].Presence != workload.Unreachable {
		return
	}
	store, _ := remembered[string](p.stage.Kept, keepStore(s))
	if store == "" || slices.ContainsFunc(p.w.cfg.Trees, func(t Tree) bool { ours, _ := p.known(s, t.Path); return !ours }) {
		p.mustAnswer(s, "the target does not answer, and not all of it is known as protected", "bring it back, and retry")
	}
}

// takesOver says whether the operation is a takeover.
func (p *plan) takesOver() bool {
	return !slices.Contains([]understudy.Verb{understudy.Protect, understudy.Replicate, understudy.Reprotect}, p.stage.Verb)
}

// mustAnswer refuses where a site does not answer, or does not let us in.
func (p *plan) mustAnswer(s understudy.Site, summary, fix string) {
	p.mustLetIn(s)
	if p.there(s) {
		return
	}
	e := p.w.refuse("US702", s, "", summary, fix)
	e.Kind = understudy.KindUnreachable
	if cause := p.seen.Sites[s].Error; cause != nil {
		e.Err = cause
	}
	p.refuse(e)
}
