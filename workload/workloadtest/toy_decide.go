package workloadtest

import (
	"encoding/json"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// stepArgs is what a toy step knows.
type stepArgs struct {
	Site  understudy.Site      `json:"site"`
	From  understudy.Site      `json:"from,omitempty"`
	Epoch understudy.RoleEpoch `json:"epoch,omitempty"`
	Value string               `json:"value,omitempty"`
	Role  *understudy.Role     `json:"role,omitempty"`
	Plan  understudy.PlanName  `json:"plan,omitempty"`
	Name  understudy.WorkloadName
}

// plan gathers the steps of one Decide.
type plan struct {
	stage understudy.Stage
	seen  workload.Observation
	facts *toyFacts
	steps []understudy.Step
}

func (p *plan) there(s understudy.Site) bool { return p.seen.Sites[s].Presence == workload.Present }

func (p *plan) add(kind understudy.StepKind, class understudy.Class, summary string, a stepArgs, before any) {
	a.Plan, a.Name = p.stage.Plan, p.stage.Workload
	args, _ := json.Marshal(a)
	st := understudy.Step{ID: string(kind) + "@" + string(a.Site), Kind: kind, Class: class, Site: a.Site, Summary: summary, Args: args}
	if before != nil {
		st.Before, _ = json.Marshal(before)
	}
	p.steps = append(p.steps, st)
}

func (p *plan) stamp(sites ...understudy.Site) {
	role := p.stage.Now
	for _, s := range sites {
		if p.there(s) {
			p.add("stamp", understudy.Idempotent, "write the stamp", stepArgs{Site: s, Role: &role}, p.seen.Stamp[s])
		}
	}
}

// fence closes a site to ordinary writers and proves it; a site that does not answer gets no steps.
func (p *plan) fence(site understudy.Site) {
	if !p.there(site) {
		return
	}
	p.add("fence.close", understudy.ProbeFirst, "close to ordinary writers", stepArgs{Site: site}, p.facts.Limit[site])
	p.add("fence.prove", understudy.Idempotent, "prove that an ordinary write is refused", stepArgs{Site: site, Epoch: p.stage.Now.Epoch}, nil)
}

// Decide turns one stage of an operation and what was seen into steps.
func (t *toy) Decide(stage understudy.Stage, seen workload.Observation) ([]understudy.Step, error) {
	facts, ok := seen.Facts.(*toyFacts)
	if !ok {
		return nil, &understudy.Error{Code: "US999", Kind: understudy.KindBug, Op: "toy.decide", Summary: "no facts"}
	}
	p := &plan{stage: stage, seen: seen, facts: facts}
	for _, site := range t.spec.Sites {
		if err := another(stage.Kept, site, seen.Sites[site].Identity); err != nil && p.there(site) && seen.Sites[site].Error == nil {
			return nil, err
		}
	}
	if t.scheduled() && p.decideRun() {
		return p.steps, nil
	}
	switch stage.Verb {
	case understudy.Protect:
		p.protect()
	case understudy.Reprotect:
		p.reprotect()
	case understudy.Abort:
		p.back()
	case understudy.Duty:
		p.fence(stage.Old)
	case understudy.Unprotect:
		p.unprotect()
	default:
		p.takeover()
	}
	return p.steps, nil
}

// keepServer is the name under which the toy remembers who answers at a site.
func keepServer(s understudy.Site) string { return "server@" + string(s) }

// another refuses a server that is not the one that was protected at the site; nil where none is remembered.
func another(kept understudy.Keep, site understudy.Site, identity string) error {
	var want string
	if len(kept[keepServer(site)]) == 0 || json.Unmarshal(kept[keepServer(site)], &want) == nil && want == identity {
		return nil
	}
	return &understudy.Error{
		Code: "US999", Kind: understudy.KindRefused, Op: "toy.decide", Object: understudy.Object{Site: site}, Summary: identity + " answers where " + want + " was protected",
	}
}

func (p *plan) protect() {
	switch p.stage.Name {
	case understudy.StageCreate:
		p.stamp(p.stage.Old, p.stage.To)
		p.add("create", understudy.Idempotent, "give the target the source's settings", stepArgs{Site: p.stage.To, Value: p.facts.Setting[p.stage.Old]}, p.facts.Setting[p.stage.To])
	case understudy.StageGuard:
		p.add("fence.close", understudy.ProbeFirst, "close the target to ordinary writers", stepArgs{Site: p.stage.To}, p.facts.Limit[p.stage.To])
	}
}

func (p *plan) takeover() {
	old, to, now := p.stage.Old, p.stage.To, p.stage.Now
	switch p.stage.Name {
	case understudy.StageFence:
		p.fence(old)
		p.stamp(old, to)
	case understudy.StageDrain:
		p.add("drain", understudy.Idempotent, "wait until the target holds everything", stepArgs{Site: to, From: old, Epoch: now.Epoch}, nil)
	case understudy.StageSalvage:
		if p.there(old) {
			p.add("salvage", understudy.Idempotent, "wait for what the old side still gives", stepArgs{Site: to, From: old}, nil)
		}
	case understudy.StageHalt:
		p.add("halt", understudy.ProbeFirst, "refuse later writes of the mover", stepArgs{Site: to, From: old, Epoch: now.Epoch}, p.facts.Token[to])
	case understudy.StageCut:
		p.add("cut", understudy.Idempotent, "read the recovery point", stepArgs{Site: to}, nil)
	case understudy.StagePromote:
		if p.there(old) {
			p.add("fence.prove", understudy.Idempotent, "prove the fence again", stepArgs{Site: old, Epoch: now.Epoch}, nil)
		}
		p.add("halt.prove", understudy.Idempotent, "prove the halt again", stepArgs{Site: to, From: old, Epoch: now.Epoch}, nil)
	case understudy.StageEnable:
		p.stamp(to, old)
		p.add("enable", understudy.ProbeFirst, "open to ordinary writers", stepArgs{Site: to, Value: limitOpen, Epoch: now.Epoch}, p.facts.Limit[to])
		p.steps[len(p.steps)-1].Late = true
	case understudy.StageProve:
		p.add("open.prove", understudy.ProbeFirst, "one acknowledged write", stepArgs{Site: to, Epoch: now.Epoch}, nil)
	case understudy.StageRoute:
		p.add("route", understudy.Idempotent, "tell the clients", stepArgs{Site: to}, nil)
		p.steps[len(p.steps)-1].Skippable = true
	case understudy.StageRelease:
		p.add("release", understudy.Idempotent, "forget what a rollback would need", stepArgs{Site: to}, nil)
	}
}

func (p *plan) reprotect() {
	source, target := p.stage.Old, p.stage.To
	switch p.stage.Name {
	case understudy.StageFence:
		p.fence(target)
		p.stamp(target)
	case understudy.StageScan:
		p.add("scan", understudy.Idempotent, "find what only the old side has", stepArgs{Site: target, From: source}, nil)
	case understudy.StageLedger:
		p.add("ledger", understudy.Idempotent, "save what only the old side has", stepArgs{Site: target, From: source, Epoch: p.stage.Now.Epoch}, nil)
	case understudy.StageResolve:
		p.add("resolve", understudy.ProbeFirst, "cut the old side back to the common part", stepArgs{Site: target, From: source}, nil)
		p.steps[len(p.steps)-1].Late = true
	}
}

func (p *plan) back() {
	old, to, now := p.stage.Old, p.stage.To, p.stage.Now
	switch p.stage.Name {
	case understudy.StageLevel:
		p.add("level", understudy.Idempotent, "prove that both sides end alike", stepArgs{Site: old, From: to, Epoch: now.Epoch}, nil)
	case understudy.StageRestore:
		p.add("restore.prove", understudy.Idempotent, "prove that the new side was never enabled", stepArgs{Site: to, Epoch: now.Epoch}, nil)
	case understudy.StageUnfence:
		p.stamp(old, to)
		p.add("enable", understudy.ProbeFirst, "open the old side again", stepArgs{Site: old, Value: limitOpen, Epoch: now.Epoch}, p.facts.Limit[old])
		p.steps[len(p.steps)-1].Late = true
	case understudy.StageUnguard, understudy.StageRelease:
		p.unprotect()
	}
}

func (p *plan) unprotect() {
	switch p.stage.Name {
	case understudy.StageUnguard:
		if p.seen.Sites[p.stage.To].Presence == workload.Absent {
			return // it was never made, so nothing there was ever closed
		}
		p.add("enable", understudy.ProbeFirst, "open the former target", stepArgs{Site: p.stage.To, Value: limitOpen, Epoch: p.stage.Now.Epoch}, p.facts.Limit[p.stage.To])
	case understudy.StageRelease:
		for _, s := range []understudy.Site{p.stage.Old, p.stage.To} {
			if p.there(s) {
				p.add("unstamp", understudy.Idempotent, "take the stamp away", stepArgs{Site: s}, p.seen.Stamp[s])
			}
		}
	}
}
