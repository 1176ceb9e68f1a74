package storage

import (
	"context"
	"fmt"
	"strings"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// shut closes a tree of a store that knows no owners and modes, and says why where it has no means of that.
func shut(ctx context.Context, g place.Gate) (unguarded string, err error) {
	s, err := g.Rules(ctx)
	if err != nil {
		return "", err
	}
	if s.State == place.GateNone {
		return s.Means, nil
	}
	return "", g.Shut(ctx)
}

// nameStore gives a store a name of its own, where it has none. Repeated, it finds the name.
func nameStore(ctx context.Context, j *job) (understudy.Receipt, error) {
	if n, ok := j.w.sites[j.step.Site].(place.Named); ok {
		return understudy.Receipt{}, j.failed("", "name", n.Name(ctx))
	}
	return understudy.Receipt{}, nil
}

// name has the stores named that have no name of their own, before they are remembered by it. The step knows no store: it changes the name.
func (p *plan) name(sites ...understudy.Site) {
	for _, s := range sites {
		if p.there(s) && p.facts.Sites[s].Identity.Unnamed {
			p.add(stepName, understudy.ProbeFirst, s, "give the store a name to know it by", stepArgs{}, nil).Args = encode(stepArgs{})
		}
	}
}

// checkFence refuses to take a side over that answers and whose fence could never be proved, before anything is changed.
func (p *plan) checkFence() {
	for _, t := range p.facts.Sites[p.stage.Old].Trees {
		if summary, fix := unfenced(t.Root); summary != "" {
			p.refuse(p.w.refuse("US731", p.stage.Old, t.Path, summary, fix))
		}
	}
}

// closing says what the step that closes a site does there.
func (p *plan) closing(s understudy.Site) string {
	for _, t := range p.facts.of(s).Trees {
		if t.Root.Gate.State == place.GateNone {
			return "leave the trees unguarded (F0): " + t.Root.Gate.Means
		}
	}
	return "close the roots to ordinary users"
}

// proveUnwritten shows of a side that nothing kept writers out of that it holds what its link published, and nothing else. It completes the proof
// when every tree does.
func (j *job) proveUnwritten(ctx context.Context, p *understudy.Proof) error {
	var missing []string
	for _, t := range j.w.cfg.Trees {
		found, err := j.foreign(ctx, t.Path)
		if err != nil {
			return err
		}
		if found != "" {
			missing = append(missing, t.Path+": "+found)
		}
	}
	p.Missing, p.Complete = missing, len(missing) == 0
	p.Means = "nothing kept ordinary writers out; but every tree was listed, and holds the versions that its link published and nothing else"
	return nil
}

// foreign says what a tree of the step's site holds that its link did not publish; empty for nothing.
func (j *job) foreign(ctx context.Context, tree string) (string, error) {
	store, err := j.tree(tree).Store(ctx, "", false)
	if err != nil {
		return "", j.failed(tree, "open", err)
	}
	now, err := imageOf(ctx, j.tree(tree), store)
	if err != nil || !now.gated() {
		return "the root is " + now.String(), j.failed(tree, "look at", err)
	}
	folders, err := j.tree(tree).Folders(ctx)
	if err != nil {
		return "", j.failed(tree, "look at understudy's folder of", err)
	}
	folder := newest(folders, func(f place.Folder) bool { return !f.Barred })
	for _, from := range j.w.siteNames() {
		if from == j.step.Site || folder == "" {
			continue
		}
		m, err := j.w.job(ctx, route{From: from, To: j.step.Site, Folder: folder}, tree, false)
		if err != nil {
			return "", err
		}
		if s, err := j.w.mover(tree, "run").Standing(ctx, m); err != nil || s.Published == nil {
			continue
		}
		return j.compared(ctx, m, tree)
	}
	return "no link published anything there that it could be compared with", nil
}

// compared names the first differences between a tree and what its link published.
func (j *job) compared(ctx context.Context, m filecopy.Job, tree string) (string, error) {
	var differ []string
	_, err := j.w.mover(tree, "run").Compare(ctx, m, false, func(d filecopy.Difference) error {
		differ = append(differ, fmt.Sprintf("%s is %s", d.Path.Text(), d.Kind))
		return nil
	})
	if err != nil || len(differ) == 0 {
		return "", j.failed(tree, "compare", err)
	}
	return strings.Join(differ[:min(3, len(differ))], ", "), nil
}
