package kafka

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

// job is one call of Do.
type job struct {
	w    *Workload
	step understudy.Step
	run  understudy.Run
	// site is where the step's effect happens; nil for steps on no site.
	site *site
}

// Do performs one step. Before anything else it makes sure that the address still leads to the cluster for
// which the step was decided.
func (w *Workload) Do(ctx context.Context, step understudy.Step, run understudy.Run) (understudy.Receipt, error) {
	do, ok := doers(step.Kind)
	if !ok {
		return understudy.Receipt{}, bug("kafka.do", "unknown step kind "+string(step.Kind))
	}
	j := &job{w: w, step: step, run: run}
	if step.Site != "" {
		s, err := w.at(step.Site)
		if err != nil {
			return understudy.Receipt{}, err
		}
		j.site = s
		if err := j.sameCluster(ctx); err != nil {
			return understudy.Receipt{}, err
		}
	}
	r, err := do(ctx, j)
	if err != nil {
		return understudy.Receipt{}, err
	}
	r.Step, r.Kind, r.Stage = step.ID, step.Kind, run.Stage
	if r.Summary == "" {
		r.Summary = step.Summary
	}
	return r, nil
}

// doers is the table of step kinds.
func doers(kind understudy.StepKind) (func(context.Context, *job) (understudy.Receipt, error), bool) {
	do, ok := map[understudy.StepKind]func(context.Context, *job) (understudy.Receipt, error){
		stepRemember:  remember,
		stepOwnTopic:  makeOwnTopic,
		stepStamp:     writeStamp,
		stepUnstamp:   clearStamp,
		stepCreate:    createTopics,
		stepDeny:      addDenials,
		stepUndeny:    removeDenials,
		stepClose:     closeTopics,
		stepReopen:    restoreLimits,
		stepFenced:    proveFence,
		stepDrain:     awaitDrain,
		stepGroups:    syncGroups,
		stepRegroup:   restoreGroups,
		stepHalt:      markHalt,
		stepHalted:    proveHalt,
		stepCut:       readCut,
		stepEnable:    enableConfigs,
		stepOpen:      proveOpen,
		stepStandIns:  setStandIns,
		stepRestore:   restoreConfigs,
		stepLevel:     markLevel,
		stepUntouched: proveUntouched,
		stepScan:      scanDivergence,
		stepLedger:    saveLedger,
		stepRemake:    remakeTopic,
		stepOpenMade:  openMade,
		stepRules:     copyRules,
	}[kind]
	return do, ok
}

// sameCluster refuses when another cluster answers than the one the step was decided for.
func (j *job) sameCluster(ctx context.Context) error {
	a, err := args[base](j.step)
	if err != nil {
		return err
	}
	id, err := j.site.admin.ID(ctx, j.run.Lease)
	if err != nil {
		return err
	}
	if a.Cluster != "" && id != a.Cluster {
		return &understudy.Error{
			Code: "US101", Kind: understudy.KindRefused, Op: "kafka." + string(j.step.Kind), Object: j.w.object(j.site.name, ""),
			Summary: fmt.Sprintf("cluster %s answers there, but the step was decided for %s", id, a.Cluster),
			Fix:     "correct the brokers in the site file, and retry",
		}
	}
	return nil
}

// metadata lists all topics of a site.
func (j *job) metadata(ctx context.Context, s *site) (cluster.Metadata, error) {
	return s.admin.Metadata(ctx, j.run.Lease)
}

// matched lists the workload's topics of a site, and their partitions; if any are named, of those.
func (j *job) matched(ctx context.Context, s *site, only ...string) ([]string, []cluster.Partition, error) {
	md, err := s.admin.Metadata(ctx, j.run.Lease, only...)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for _, n := range md.Names() {
		if j.w.match.topic(n) {
			names = append(names, n)
		}
	}
	return names, md.Partitions(names...), nil
}

// still re-reads the role, linearizably, and refuses when it is no longer the one of this stage. Steps that
// would do harm late call it before each harmful request.
func (j *job) still(ctx context.Context) error {
	if !j.step.Late {
		return nil
	}
	if j.run.Role == nil {
		return bug("kafka."+string(j.step.Kind), "a late step has no way to read the role")
	}
	now, err := j.run.Role(ctx)
	if err != nil {
		return err
	}
	if now.Equal(j.run.Now) {
		return nil
	}
	return &understudy.Error{
		Code: "US115", Kind: understudy.KindConflict, Op: "kafka." + string(j.step.Kind), Object: j.object(""),
		Summary: fmt.Sprintf("the role is now %s, and was %s when the step was decided", now, j.run.Now),
		Why:     "another operation changed it", Fix: "look at `understudy status`",
	}
}

// object names the step's site, and a shard of it.
func (j *job) object(shard string) understudy.Object { return j.w.object(j.step.Site, shard) }

// proof starts a proof about the step's site at the present role epoch.
func (j *job) proof(kind understudy.ProofKind, valid time.Duration) understudy.Proof {
	return understudy.Proof{Kind: kind, Site: j.step.Site, Epoch: j.run.Now.Epoch, At: time.Now(), Valid: valid}
}

// report tells people how far the step is.
func (j *job) report(format string, a ...any) {
	if j.run.Report != nil {
		j.run.Report(understudy.StepProgress{Text: fmt.Sprintf(format, a...)})
	}
}

// count tells people how far the step is, in numbers.
func (j *job) count(text string, done, total int64, unit string) {
	if j.run.Report != nil {
		j.run.Report(understudy.StepProgress{Text: text, Done: done, Total: total, Unit: unit})
	}
}

// pause waits, or ends with ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// remember puts documents into the journal by way of its receipt, and changes nothing else. Running it twice
// stores the same documents twice.
func remember(_ context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[rememberArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	r := understudy.Receipt{Keep: understudy.Keep{}, Warnings: a.Notes}
	for name, doc := range a.Keep {
		r.Keep[name] = doc
	}
	for _, name := range a.Drop {
		r.Keep[name] = nil
	}
	return r, nil
}

// detailed encodes a receipt's detail.
func detailed(r understudy.Receipt, v any) understudy.Receipt {
	r.Detail = json.RawMessage(topicconf.Encode(v))
	return r
}
