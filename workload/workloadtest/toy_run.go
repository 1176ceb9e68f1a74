package workloadtest

import (
	"context"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// ToyScheduledSpec is a toy workload between two sites in an architecture without a mover.
func ToyScheduledSpec(a understudy.Architecture, plan understudy.PlanName, name understudy.WorkloadName, home, second understudy.Site) workload.Spec {
	s := ToySpec(plan, name, home, second)
	s.Architecture, s.RPO = a, 5*time.Hour
	return s
}

// toySweeps lets runs relist every day, and repair on demand only.
func toySweeps(workload.Spec) []workload.Sweeping {
	daily, err := workload.ParseSchedule("every 24h")
	if err != nil {
		return nil
	}
	return []workload.Sweeping{{Sweep: understudy.Relist, Schedule: daily}, {Sweep: understudy.Repair}}
}

// staging is what runs keep on a server: what was captured there as a source, and as a target what is staged and
// which set is shown. All of it is named by the operation, so that a repeated step finds its own.
type staging struct {
	captured map[string]capture
	set      string
	staged   []Record
	stagedAt time.Time
	proven   bool
	// shown is the set that was published last, and shownAt its source time.
	shown   string
	shownAt time.Time
}

// capture is a fixed state of a source.
type capture struct {
	end int
	at  time.Time
}

// scheduled says whether no mover follows the toy's links.
func (t *toy) scheduled() bool {
	return t.spec.Architecture == understudy.StandbySecondary || t.spec.Architecture == understudy.OnDemandSecondary
}

// run adds the steps of one stage of a run, or of a whole one.
func (p *plan) run(kinds ...understudy.StepKind) {
	for _, k := range kinds {
		site := p.stage.To
		if k == "run.capture" {
			site = p.stage.Old
		}
		p.add(k, understudy.ProbeFirst, string(k), stepArgs{Site: site, From: p.stage.Old, Epoch: p.stage.Now.Epoch}, nil)
	}
}

// decideRun adds what the architecture without a mover needs beyond, or in place of, what a mover does; true means
// that the stage needs nothing else.
func (p *plan) decideRun() bool {
	switch p.stage.Name {
	case understudy.StageCapture, understudy.StageCopy, understudy.StageApply, understudy.StagePublish:
		p.run(understudy.StepKind("run." + string(p.stage.Name)))
		return true
	case understudy.StageProve:
		if p.stage.Verb == understudy.Replicate {
			p.run("run.prove")
			return true
		}
	case understudy.StageRelease:
		if p.stage.Verb == understudy.Replicate && p.there(p.stage.To) {
			p.run("run.release")
		}
	case understudy.StageBootstrap:
		p.run("run.capture", "run.copy", "run.apply", "run.prove", "run.publish")
	case understudy.StageReverse:
		if p.stage.Verb == understudy.Reprotect {
			p.run("run.capture", "run.copy", "run.apply", "run.prove", "run.publish")
		}
	case understudy.StageDrain:
		p.run("run.capture", "run.copy", "run.apply", "run.prove", "run.publish", "run.drained")
		return true
	case understudy.StageSalvage:
		switch {
		case p.there(p.stage.Old):
			p.run("run.capture", "run.copy", "run.apply", "run.prove", "run.publish")
		case p.facts.Proven[p.stage.To]:
			p.run("run.forward")
		}
		return true
	default: // the others are as with a mover
	}
	return p.stage.Verb == understudy.Replicate
}

// doRun performs a step of a run. The set that it works on is named by the operation.
func (t *toy) doRun(ctx context.Context, step understudy.Step, a stepArgs, run understudy.Run) (understudy.Receipt, error) {
	if err := t.world.blocked(ctx, step.Kind); err != nil {
		return understudy.Receipt{}, err
	}
	r := understudy.Receipt{Summary: step.Summary}
	set := string(run.Operation)
	link := understudy.Link{Plan: a.Plan, Workload: a.Name, From: a.From, To: a.Site}
	proof := understudy.Proof{Site: a.Site, Link: &link, Epoch: a.Epoch, At: time.Now(), Valid: time.Hour, Complete: true, Means: "toy"}
	err := t.world.at("do", a.Site, func(s *server) error {
		from := t.world.servers[a.From]
		needsSource := step.Kind == "run.copy" || step.Kind == "run.prove" || step.Kind == "run.drained"
		if needsSource && !from.up {
			return unreachable("do", a.From)
		}
		switch step.Kind {
		case "run.capture":
			s.capture(set)
		case "run.copy":
			return s.stage(set, from)
		case "run.prove":
			proof.Kind, proof.Complete = understudy.ProofStaged, s.same(set, from)
			s.proven = s.set == set && proof.Complete
			r.Proofs = append(r.Proofs, proof)
		case "run.publish":
			return s.publish(set, a.Epoch, &r)
		case "run.forward":
			return s.forward(a.Epoch, &r)
		case "run.drained":
			proof.Kind, proof.Complete = understudy.ProofDrain, len(s.records) == len(from.records)
			r.Proofs = append(r.Proofs, proof)
		case "run.release":
			if s.set == set {
				s.set, s.staged, s.proven = "", nil, false
			}
		}
		return nil
	})
	return r, err
}

func (s *server) capture(set string) {
	if s.captured == nil {
		s.captured = map[string]capture{}
	}
	if _, done := s.captured[set]; !done {
		s.captured[set] = capture{end: len(s.records), at: time.Now()}
	}
}

// stage copies what the captured source has and the target lacks, beside what is shown.
func (s *server) stage(set string, from *server) error {
	if s.shown == set {
		return nil
	}
	c, ok := from.captured[set]
	if !ok || len(s.records) > c.end {
		return &understudy.Error{Code: "US999", Kind: understudy.KindConflict, Op: "toy.stage", Summary: "the target is not older than what was captured"}
	}
	s.set, s.stagedAt, s.proven, s.staged = set, c.at, false, append([]Record(nil), from.records[len(s.records):c.end]...)
	return nil
}

// same compares what would be shown with what was captured.
func (s *server) same(set string, from *server) bool {
	all := append(append([]Record(nil), s.records...), s.staged...)
	if s.shown == set {
		all = s.records
	}
	c := from.captured[set]
	if len(all) < c.end {
		return false
	}
	for i := range c.end {
		if all[i].ID != from.records[i].ID || all[i].Value != from.records[i].Value {
			return false
		}
	}
	return true
}

// publish shows what is staged, at once; repeated, it says the same again. A server that was halted refuses what comes
// from before.
func (s *server) publish(set string, epoch understudy.RoleEpoch, r *understudy.Receipt) error {
	switch {
	case s.shown == set:
	case epoch < s.token:
		s.denied++
		return &understudy.Error{Code: "US999", Kind: understudy.KindConflict, Op: "toy.publish", Summary: "an epoch below the server's token"}
	case s.set != set || !s.proven:
		return &understudy.Error{Code: "US999", Kind: understudy.KindBroken, Op: "toy.publish", Summary: "what is staged was not proved"}
	default:
		s.records = append(s.records, s.staged...)
		s.token = max(s.token, epoch)
		s.shown, s.shownAt = set, s.stagedAt
		s.set, s.staged, s.proven = "", nil, false
		s.effects["publish"]++
	}
	r.Published = &understudy.Published{Set: s.shown, SourceTime: s.shownAt, Records: int64(len(s.records))}
	return nil
}

// forward publishes what an earlier run staged and proved; repeated, it says so again.
func (s *server) forward(epoch understudy.RoleEpoch, r *understudy.Receipt) error {
	if s.set == "" {
		return s.publish(s.shown, epoch, r)
	}
	return s.publish(s.set, epoch, r)
}

// Block lets the next step of a kind wait in its middle: arrived is closed when it does. It goes on when it is
// cancelled, with the error that a crash would leave, or when release is called.
func (w *World) Block(kind understudy.StepKind) (arrived <-chan struct{}, release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := &block{arrived: make(chan struct{}), gone: make(chan struct{})}
	w.blocks[kind] = b
	return b.arrived, func() { close(b.gone) }
}

// block is a step that waits.
type block struct{ arrived, gone chan struct{} }

func (w *World) blocked(ctx context.Context, kind understudy.StepKind) error {
	w.mu.Lock()
	b := w.blocks[kind]
	delete(w.blocks, kind)
	w.mu.Unlock()
	if b == nil {
		return nil
	}
	close(b.arrived)
	select {
	case <-b.gone:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Staged says how many records are staged at a site, beside those that are shown.
func (w *World) Staged(site understudy.Site) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.servers[site].staged)
}
