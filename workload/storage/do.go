package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// job is one call of Do.
type job struct {
	w    *Workload
	step understudy.Step
	run  understudy.Run
	args stepArgs
	// warnings go into the receipt.
	warnings []string
}

// Do performs one step. Before anything else it makes sure that the addresses still lead to the stores for which the step was decided.
func (w *Workload) Do(ctx context.Context, step understudy.Step, run understudy.Run) (understudy.Receipt, error) {
	do, ok := doers(step.Kind)
	if !ok {
		return understudy.Receipt{}, bug("storage.do", "unknown step kind "+string(step.Kind))
	}
	j := &job{w: w, step: step, run: run}
	if err := json.Unmarshal(step.Args, &j.args); err != nil {
		return understudy.Receipt{}, bug("storage.do", "the arguments of "+step.ID+" cannot be read")
	}
	ctx, done := leased(ctx, run.Lease)
	defer done()
	err := context.Cause(ctx)
	if err == nil {
		err = j.sameStores(ctx)
	}
	var r understudy.Receipt
	if err == nil {
		r, err = do(ctx, j)
	}
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errLease) {
		err = &understudy.Error{Code: "US003", Kind: understudy.KindFenced, Op: "storage.do", Object: w.object(step.Site, ""), Summary: "the lease has expired", Err: err}
	}
	if err != nil {
		return understudy.Receipt{}, err
	}
	r.Step, r.Kind, r.Stage, r.Warnings = step.ID, step.Kind, run.Stage, append(r.Warnings, j.warnings...)
	if r.Summary == "" {
		r.Summary = step.Summary
	}
	return r, nil
}

// doer does the steps of one kind.
type doer func(context.Context, *job) (understudy.Receipt, error)

// doers is the table of step kinds.
func doers(kind understudy.StepKind) (doer, bool) {
	do, ok := map[understudy.StepKind]doer{
		stepRemember:  remember,
		stepName:      nameStore,
		stepStamp:     writeStamps,
		stepUnstamp:   clearStamps,
		stepSnapshots: allowSnapshots,
		stepClose:     closeRoots,
		stepSettle:    settleWriters,
		stepFenced:    proveFence,
		stepOpen:      openRoots,
		stepOpened:    proveOpen,
		stepCapture:   capture,
		stepCopy:      stage,
		stepStaged:    proveStaged,
		stepPublish:   publish,
		stepForward:   publish,
		stepShown:     tellShown,
		stepDrained:   proveDrained,
		stepClean:     clean,
		stepHalt:      halt,
		stepHalted:    proveHalt,
		stepCut:       readCut,
		stepLevel:     proveLevel,
		stepUntouched: proveUntouched,
		stepAdopt:     adopt,
		stepScan:      scan,
		stepLedger:    saveLedger,
		stepResolve:   remember,
		stepLeave:     leave,
	}[kind]
	return do, ok
}

// errLease ends what runs when the lease has passed.
var errLease = errors.New("storage: the lease has expired")

// leased bounds a context by a lease, which may be renewed meanwhile.
func leased(ctx context.Context, l understudy.Lease) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	if !time.Now().Before(l.Deadline()) {
		// Known before anything is sent, not when the other goroutine comes to it.
		cancel(errLease)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			left := time.Until(l.Deadline())
			if left <= 0 {
				cancel(errLease)
				return
			}
			timer := time.NewTimer(left)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-over
	}
}

// sameStores refuses when another store answers than the one the step was decided for.
func (j *job) sameStores(ctx context.Context) error {
	for site, want := range map[understudy.Site]string{j.step.Site: j.args.Store, j.args.From: j.args.Source} {
		if site == "" || want == "" || j.w.sites[site] == nil {
			continue
		}
		id, err := j.w.sites[site].Look(ctx)
		if err != nil {
			return j.w.unmet(site, err)
		}
		if id.Name != want {
			return j.w.refuse("US706", site, "", fmt.Sprintf("%s answers there, but the step was decided for %s", id.Name, want), "correct the site file, and retry")
		}
	}
	return nil
}

// still re-reads the role, linearizably, and refuses when it is no longer the one of this stage.
func (j *job) still(ctx context.Context) error {
	if !j.step.Late {
		return nil
	}
	now, err := j.run.Role(ctx)
	if err != nil || now.Equal(j.run.Now) {
		return err
	}
	return &understudy.Error{
		Code: "US707", Kind: understudy.KindConflict, Op: "storage." + string(j.step.Kind), Object: j.w.object(j.step.Site, ""),
		Summary: fmt.Sprintf("the role is now %s, and was %s when the step was decided", now, j.run.Now),
		Why:     "another operation changed it", Fix: "look at `understudy status`",
	}
}

// proof starts a proof about the step's site at the present role epoch.
func (j *job) proof(kind understudy.ProofKind, valid time.Duration) understudy.Proof {
	return understudy.Proof{Kind: kind, Site: j.step.Site, Epoch: j.run.Now.Epoch, At: time.Now(), Valid: valid, Complete: true}
}

// link is the link from the step's source into its site.
func (j *job) link() *understudy.Link {
	return &understudy.Link{Plan: j.w.spec.Plan, Workload: j.w.spec.Name, From: j.args.From, To: j.step.Site}
}

// report tells people how far the step is.
func (j *job) report(p understudy.StepProgress) {
	if j.run.Report != nil {
		j.run.Report(p)
	}
}

// tree gives a tree of the step's site.
func (j *job) tree(path string) place.Tree { return j.w.at(j.step.Site, path) }

// failed names an error about a tree of the step's site.
func (j *job) failed(tree, doing string, err error) error {
	return j.w.failure(j.step.Site, tree, doing, err)
}

// remember puts documents into the journal by way of its receipt, and changes nothing else. Running it twice stores the same documents twice.
func remember(_ context.Context, j *job) (understudy.Receipt, error) {
	return understudy.Receipt{Keep: j.keeps(), Warnings: j.args.Notes}, nil
}

// keeps gives the change of the memory that the step was decided with.
func (j *job) keeps() understudy.Keep {
	k := understudy.Keep{}
	for name, doc := range j.args.Keep {
		k[name] = doc
	}
	for _, name := range j.args.Drop {
		k[name] = nil
	}
	return k
}

// moverJob makes the mover's job for one tree of the step, under the operation's name.
func (j *job) moverJob(ctx context.Context, tree string, source bool) (filecopy.Job, filecopy.Mover, error) {
	m, err := j.w.job(ctx, route{From: j.args.From, To: j.step.Site, Folder: j.args.Folder}, tree, source)
	m.Run, m.Repair, m.Relist, m.Accept = string(j.run.Operation), j.args.Repair, j.args.Relist, acceptance(j.args.Consent)
	if err == nil {
		m.Carrier, err = j.carrier(m.Target)
	}
	return m, j.w.mover(tree, "run"), err
}
