package storage

import (
	"encoding/json"
	"fmt"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// The kinds of steps.
const (
	stepRemember  understudy.StepKind = "remember"
	stepName      understudy.StepKind = "name"
	stepStamp     understudy.StepKind = "stamp"
	stepUnstamp   understudy.StepKind = "unstamp"
	stepSnapshots understudy.StepKind = "snapshots"
	stepClose     understudy.StepKind = "close"
	stepSettle    understudy.StepKind = "settle"
	stepFenced    understudy.StepKind = "fence.prove"
	stepOpen      understudy.StepKind = "open"
	stepOpened    understudy.StepKind = "open.prove"
	stepCapture   understudy.StepKind = "capture"
	stepCopy      understudy.StepKind = "copy"
	stepStaged    understudy.StepKind = "staged.prove"
	stepPublish   understudy.StepKind = "publish"
	stepForward   understudy.StepKind = "forward"
	stepShown     understudy.StepKind = "shown"
	stepDrained   understudy.StepKind = "drained.prove"
	stepClean     understudy.StepKind = "clean"
	stepHalt      understudy.StepKind = "halt"
	stepHalted    understudy.StepKind = "halt.prove"
	stepCut       understudy.StepKind = "cut"
	stepLevel     understudy.StepKind = "level"
	stepUntouched understudy.StepKind = "untouched.prove"
	stepAdopt     understudy.StepKind = "adopt"
	stepScan      understudy.StepKind = "scan"
	stepLedger    understudy.StepKind = "ledger"
	stepResolve   understudy.StepKind = "resolve"
	stepLeave     understudy.StepKind = "leave"
)

// stepArgs is what a step knows.
type stepArgs struct {
	// Store and Source name the stores for which the step was decided, at its site and at the link's source.
	Store  string `json:"store,omitempty"`
	Source string `json:"source,omitempty"`
	// From and Folder are the link's source and the folder in which its mover works; Tree is one tree.
	From   understudy.Site `json:"from,omitempty"`
	Folder string          `json:"folder,omitempty"`
	Tree   string          `json:"tree,omitempty"`
	// Engine is who brings the files; nil is the native mover.
	Engine *engineArgs `json:"engine,omitempty"`
	// Repair has the run look at the target too, and put right what is not as the manifest says.
	Repair bool `json:"repair,omitempty"`
	// Relist has the run list the whole source.
	Relist bool `json:"relist,omitempty"`
	// Consent is what a person accepts for the tree, in this operation only.
	Consent *understudy.Consent `json:"consent,omitempty"`
	// Role is what a stamp says, Images what roots are to look like, by tree.
	Role   *understudy.Role `json:"role,omitempty"`
	Images map[string]image `json:"images,omitempty"`
	// Epochs are those below which a link is halted.
	Epochs []understudy.RoleEpoch `json:"epochs,omitempty"`
	// Given are the trees that understudy made snapshottable.
	Given []string `json:"given,omitempty"`
	// Notes are for people.
	Notes []string `json:"notes,omitempty"`
	// Keep and Drop change the memory.
	Keep map[string]json.RawMessage `json:"keep,omitempty"`
	Drop []string                   `json:"drop,omitempty"`
}

// plan gathers the steps of one Decide.
type plan struct {
	w     *Workload
	stage understudy.Stage
	seen  workload.Observation
	facts *facts
	steps []understudy.Step
	err   error
}

// Decide turns one stage of an operation and what was seen into steps.
func (w *Workload) Decide(stage understudy.Stage, seen workload.Observation) ([]understudy.Step, error) {
	f, ok := seen.Facts.(*facts)
	if !ok {
		return nil, bug("storage.decide", fmt.Sprintf("facts of type %T", seen.Facts))
	}
	p := &plan{w: w, stage: stage, seen: seen, facts: f}
	if err := p.recognise(); err != nil {
		return nil, err
	}
	switch stage.Verb {
	case understudy.Protect:
		p.protect()
	case understudy.Replicate:
		p.replicate()
	case understudy.Reprotect:
		p.reprotect()
	case understudy.Abort:
		p.back()
	case understudy.Duty:
		p.fence(stage.Old)
	case understudy.Unprotect:
		p.unprotect()
	case understudy.Commit:
		p.release()
	case understudy.Verify:
	default:
		p.takeover()
	}
	return p.steps, p.err
}

// keepStore is the name under which the identity of a site's store is remembered.
func keepStore(s understudy.Site) string { return "store/" + string(s) }

// keepClosed is where a root's image from before it was closed is kept, and keepOpen what it looks like where the tree is open to its users.
func keepClosed(s understudy.Site, tree string) string { return "closed/" + string(s) + tree }
func keepOpen(tree string) string                      { return "open" + tree }

// keepSnapshots remembers that understudy made a root snapshottable, and keepCut what the target showed at the last takeover.
func keepSnapshots(s understudy.Site, tree string) string { return "snapshots/" + string(s) + tree }

const keepCut = "cut"

// remembered reads a document of the memory; false when it is not there.
func remembered[T any](k understudy.Keep, name string) (T, bool) {
	var v T
	ok := len(k[name]) > 0 && json.Unmarshal(k[name], &v) == nil
	return v, ok
}

// recognise refuses a store that is not the one that was protected at a site.
func (p *plan) recognise() error {
	for _, s := range p.w.siteNames() {
		want, ok := remembered[string](p.stage.Kept, keepStore(s))
		// An earlier version kept the name of a silent store, which is none.
		if !ok || want == "" || !p.there(s) && !p.unread(s) || p.facts.of(s).Identity.Name == want {
			continue
		}
		e := p.w.refuse("US706", s, "", fmt.Sprintf("%s answers where %s was protected", p.facts.of(s).Identity.Name, want), "correct the site file")
		e.Why = "the store was exchanged or made anew, or the address leads elsewhere"
		return e
	}
	return nil
}

// there says whether a site answers, and lets us in.
func (p *plan) there(s understudy.Site) bool {
	return p.seen.Sites[s].Presence == workload.Present && p.seen.Sites[s].Error == nil
}

// unread says whether a site answers, and can be closed and opened, although what is kept beside its trees could not be read.
func (p *plan) unread(s understudy.Site) bool {
	_, ok := p.facts.Unread[s]
	return ok
}

// mustLetIn refuses where a site answers and does not let us in: what is to be done there can neither be done nor left to a person's word.
func (p *plan) mustLetIn(s understudy.Site) {
	if seen := p.seen.Sites[s]; seen.Presence == workload.Present && seen.Error != nil {
		p.refuse(seen.Error)
	}
}

// add appends a step at a site. The step's id names what it is about.
func (p *plan) add(kind understudy.StepKind, class understudy.Class, site understudy.Site, summary string, a stepArgs, before any) *understudy.Step {
	a.Store = p.facts.of(site).Identity.Name
	if a.From != "" {
		a.Source = p.facts.Sites[a.From].Identity.Name
	}
	if a.Store == "" && (a.Folder != "" || len(a.Epochs) > 0) {
		// Movers and halts make what is missing, so where the store is silent they must find the one that was protected, and not make another in its place.
		a.Store, _ = remembered[string](p.stage.Kept, keepStore(site))
	}
	id := string(kind) + "@" + string(site)
	if a.Tree != "" {
		id += a.Tree
	}
	st := understudy.Step{ID: id, Kind: kind, Class: class, Site: site, Summary: summary, Args: encode(a)}
	if before != nil {
		st.Before = encode(before)
	}
	p.steps = append(p.steps, st)
	return &p.steps[len(p.steps)-1]
}

// encode makes the document of a value of ours, which always has one.
func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}

// refuse makes the stage one that must not begin.
func (p *plan) refuse(e *understudy.Error) {
	if p.err == nil {
		p.err = e
	}
}

// stamp writes the present role to the sites in reach.
func (p *plan) stamp(sites ...understudy.Site) {
	role := p.stage.Now
	for _, s := range sites {
		if p.there(s) {
			p.add(stepStamp, understudy.Idempotent, s, "write the stamp beside each tree", stepArgs{Role: &role}, p.seen.Stamp[s])
		}
	}
}

// close closes a site's roots to ordinary users. What they looked like before goes with the step, and into the memory.
func (p *plan) close(s understudy.Site) {
	before := map[string]image{}
	for _, t := range p.facts.of(s).Trees {
		kept, closed := remembered[image](p.stage.Kept, keepClosed(s, t.Path))
		switch {
		case t.Closed && closed:
			before[t.Path] = kept
		case t.There:
			before[t.Path] = t.Root
		}
	}
	p.add(stepClose, understudy.Idempotent, s, p.closing(s), stepArgs{}, before)
}

// fence closes a site and proves it; a site that does not answer gets no steps. Where the next stages need no more of the site than that nobody writes there,
// its roots alone need to be seen.
func (p *plan) fence(s understudy.Site) {
	if !p.unread(s) || !p.lastFence() {
		p.mustLetIn(s)
	}
	if !p.there(s) && !p.unread(s) {
		return
	}
	p.close(s)
	p.add(stepSettle, understudy.Idempotent, s, "take open files away from their writers", stepArgs{}, nil).Timeout = settleTimeout
	p.add(stepFenced, understudy.Idempotent, s, "prove that an ordinary write is refused below each root", stepArgs{}, nil)
}

// lastFence says whether the operation can go on without reading anything at the side that it fences. The standing duty wants nothing but the fence. A failover
// loses what it could salvage there; so a damaged stamp, which is soon out of the way, is mended first.
func (p *plan) lastFence() bool {
	e := p.seen.Sites[p.stage.Old].Error
	return p.stage.Verb == understudy.Duty || p.stage.Verb == understudy.Failover && (e == nil || e.Kind != understudy.KindInvalid)
}

// open opens a site's roots to their users again.
func (p *plan) open(s understudy.Site, images map[string]image) {
	now := map[string]image{}
	for _, t := range p.facts.of(s).Trees {
		now[t.Path] = t.Root
	}
	p.add(stepOpen, understudy.Idempotent, s, "open the roots to their users", stepArgs{Images: images}, now).Late = true
}

// images gives what the roots of a site are to look like for its users: as at the primary, or as they were before they were closed there.
func (p *plan) images(s understudy.Site, own bool) map[string]image {
	out := map[string]image{}
	for _, t := range p.w.cfg.Trees {
		before, closed := remembered[image](p.stage.Kept, keepClosed(s, t.Path))
		owners, known := remembered[image](p.stage.Kept, keepOpen(t.Path))
		switch {
		case closed && (own || !known):
			out[t.Path] = before
		case known:
			out[t.Path] = owners.named(p.w.cfg.Principals, s != p.w.spec.Home)
		}
	}
	return out
}
