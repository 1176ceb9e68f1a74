package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/wire/hdfs"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// allowSnapshots makes a source's root snapshottable. Where it is already, by somebody or by an earlier pass of the step, nothing happens; the
// step is decided only where it was not, so what is kept is right in any case.
func allowSnapshots(ctx context.Context, j *job) (understudy.Receipt, error) {
	at, ok := j.tree(j.args.Tree).(place.Snapshots)
	if !ok {
		return understudy.Receipt{}, bug("storage.snapshots", "the store has no snapshots")
	}
	if err := at.Allow(ctx); err != nil {
		return understudy.Receipt{}, j.nested(ctx, at, j.failed(j.args.Tree, "allow snapshots of", err))
	}
	return understudy.Receipt{Keep: understudy.Keep{keepSnapshots(j.step.Site, j.args.Tree): []byte("true")}}, nil
}

// nested gives the failure to make a root snapshottable its meaning, where a directory above or below it has become so since the check.
func (j *job) nested(ctx context.Context, at place.Snapshots, failed error) error {
	if !errors.Is(failed, hdfs.ErrSnapshot) {
		return failed
	}
	others, err := at.Nested(ctx)
	if err != nil {
		return failed
	}
	if summary, fix := (treeFacts{Path: j.args.Tree, Nested: others}).nesting(); summary != "" {
		return j.w.refuse("US715", j.step.Site, j.args.Tree, summary, fix)
	}
	return failed
}

// capture fixes a state of one tree under the operation's name: a snapshot where the store has them, a listing elsewhere. Repeated, it finds
// what it fixed. What an earlier run left ready is finished if readers see a part of it, and given up otherwise.
func capture(ctx context.Context, j *job) (understudy.Receipt, error) {
	m, mover, err := j.moverJob(ctx, j.args.Tree, true)
	if err != nil {
		return understudy.Receipt{}, err
	}
	s, err := mover.Standing(ctx, m)
	if err != nil {
		return understudy.Receipt{}, j.failed(j.args.Tree, "read the standing of", err)
	}
	if s.Ready != nil && s.Ready.Run != m.Run {
		if s.Shown {
			_, err = mover.Finish(ctx, m, nil)
		} else {
			err = mover.Drop(ctx, m)
		}
	}
	var set filecopy.Set
	if err == nil {
		set, err = mover.Stage(ctx, m, filecopy.PhasePlan, j.progress())
	}
	if err != nil {
		return understudy.Receipt{}, j.refused(j.args.Tree, j.failed(j.args.Tree, "capture", err))
	}
	if err := j.room(ctx, m, set); err != nil {
		return understudy.Receipt{}, err
	}
	how := "by a listing; each file is held to its version until it is read"
	if set.Pin.Name != "" {
		how = "as snapshot " + set.Pin.Name
	}
	switch {
	case j.args.Repair:
		how += "; the target was listed too, and what is not there as published is put right"
	case j.args.Relist:
		how += "; the whole source was listed"
	}
	r := understudy.Receipt{Summary: fmt.Sprintf("captured %s of %s, %s", j.args.Tree, set.Asked.UTC().Format(time.RFC3339), how)}
	if c := j.args.Consent; c != nil {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s: %s accepted for this run only: %d deletes, source %q", j.args.Tree, c.By, c.Deletes, c.Source))
	}
	return r, nil
}

// room refuses a run for which the target has no room: what is staged stands beside what is shown.
func (j *job) room(ctx context.Context, m filecopy.Job, set filecopy.Set) error {
	root, err := m.Target.Probe(ctx)
	if errors.Is(err, filecopy.ErrNotFound) {
		return nil
	}
	if err != nil {
		return j.failed(j.args.Tree, "look at", err)
	}
	if root.Free < 0 || set.CopiedBytes <= root.Free {
		return nil
	}
	return j.w.refuse("US717", j.step.Site, j.args.Tree, fmt.Sprintf("%s are to be copied, and %s are free", amount(set.CopiedBytes), amount(root.Free)), "make room, then retry")
}

// stage copies what changed of one tree beside what is shown, and resumes what an earlier pass began.
func stage(ctx context.Context, j *job) (understudy.Receipt, error) {
	m, mover, err := j.moverJob(ctx, j.args.Tree, true)
	if err != nil {
		return understudy.Receipt{}, err
	}
	by := carriage{job: j}
	set, err := mover.Stage(ctx, m, filecopy.PhaseReady, by.follow(j.progress()))
	if err != nil {
		return understudy.Receipt{}, j.refused(j.args.Tree, j.failed(j.args.Tree, "stage", err))
	}
	r := understudy.Receipt{Summary: fmt.Sprintf("staged %d files, %s of %s", set.Copied, amount(set.CopiedBytes), j.args.Tree) + by.said()}
	if set.ReadBack > 0 {
		r.Summary += fmt.Sprintf("; %d files were read back at %s", set.ReadBack, j.step.Site)
	}
	if set.Vanished > 0 {
		r.Summary += fmt.Sprintf("; %d entries vanished while the source was listed, and stay at %s until the next run", set.Vanished, j.step.Site)
	}
	r.Warnings = rotWarnings(j.args.Tree, j.step.Site, set)
	return r, nil
}

// rotWarnings tells what was found rotten while a set was read back. None of it was shown.
func rotWarnings(tree string, at understudy.Site, set filecopy.Set) []string {
	var out []string
	if set.Rotten > 0 {
		out = append(out, fmt.Sprintf("%s: %d staged files were not at %s any more as they were read at the source, and were staged anew; look at its disks", tree, set.Rotten, at))
	}
	if set.Flaws > 0 {
		out = append(out, fmt.Sprintf("%s: %d replicas at %s were rotten, and its store was told so; look at its disks", tree, set.Flaws, at))
	}
	return out
}

// amount writes an amount for people.
func amount(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + " " + units[i]
}

// progress passes on how far a mover is.
func (j *job) progress() func(filecopy.Progress) {
	return func(p filecopy.Progress) {
		sp := understudy.StepProgress{Text: fmt.Sprintf("%s %s", p.Phase, j.args.Tree), Done: p.Bytes, Total: p.TotalBytes, Unit: "bytes"}
		switch p.Phase {
		case filecopy.PhasePlan:
			sp.Done, sp.Unit = p.Listed, "entries listed"
			if p.Relisted > 0 {
				sp.Text, sp.Done = "list again "+j.args.Tree, p.Relisted
			}
		case filecopy.PhaseProve:
			sp.Text, sp.Done = "read back "+j.args.Tree, p.ReadBack
			sp = withRate(sp, p)
		case filecopy.PhasePublish:
			sp.Done, sp.Total, sp.Unit = p.Published, p.TotalEntries, "entries"
			sp = withRate(sp, p)
		case filecopy.PhaseDelete, filecopy.PhaseDone:
			sp.Done, sp.Total, sp.Unit = p.Published+p.Deleted, 0, "entries"
		default:
			sp = withRate(sp, p)
		}
		j.report(sp)
	}
}

// shownOrReady gives the set of the operation's run, as the target has it.
func shownOrReady(s filecopy.Standing, run string) (*filecopy.Set, bool) {
	switch {
	case s.Published != nil && s.Published.Run == run:
		return s.Published, true
	case s.Ready != nil && s.Ready.Run == run:
		return s.Ready, false
	}
	return nil, false
}

// proveStaged wants the run's set of every tree to be ready at the target. A mover says so of a set only when the checksum of every staged
// file was compared with what was read.
func proveStaged(ctx context.Context, j *job) (understudy.Receipt, error) {
	p := j.proof(understudy.ProofStaged, 0)
	p.Link = j.link()
	files, size, back := int64(0), int64(0), int64(0)
	for _, t := range j.w.cfg.Trees {
		m, mover, err := j.moverJob(ctx, t.Path, false)
		if err != nil {
			return understudy.Receipt{}, err
		}
		s, err := mover.Standing(ctx, m)
		if err != nil {
			return understudy.Receipt{}, j.failed(t.Path, "read the standing of", err)
		}
		set, _ := shownOrReady(s, m.Run)
		if set == nil {
			p.Complete, p.Missing = false, append(p.Missing, t.Path)
			continue
		}
		files, size, back = files+set.Copied, size+set.CopiedBytes, back+set.ReadBack
	}
	p.Means = fmt.Sprintf("CRC32C of %d staged files (%s) as the target holds them, compared with what was read; the list of them is kept at the target", files, amount(size))
	if back > 0 {
		p.Means += fmt.Sprintf("; the bytes of %d of them were read back there", back)
	}
	return understudy.Receipt{Proofs: []understudy.Proof{p}}, nil
}

// publish shows the set of one tree. Repeated, it finds it shown, or goes on where it stopped; it needs the target alone.
func publish(ctx context.Context, j *job) (understudy.Receipt, error) {
	m, mover, err := j.moverJob(ctx, j.args.Tree, false)
	if err != nil {
		return understudy.Receipt{}, err
	}
	set, err := mover.Finish(ctx, m, j.progress())
	if errors.Is(err, filecopy.ErrNothingReady) {
		var s filecopy.Standing
		if s, err = mover.Standing(ctx, m); err == nil && s.Published == nil {
			err = j.w.refuse("US708", j.step.Site, j.args.Tree, "no set is ready to be shown, and none is shown", "run the replication again")
		} else if err == nil {
			set = *s.Published
		}
	}
	if err != nil {
		return understudy.Receipt{}, j.failed(j.args.Tree, "show the set of", err)
	}
	return understudy.Receipt{Summary: fmt.Sprintf("%s shows %d files, %s, as of %s", j.args.Tree, set.Files, amount(set.Bytes), set.Asked.UTC().Format(time.RFC3339))}, nil
}

// shown reads which set the target shows, over all trees: it is as old as the oldest of them.
func (j *job) shown(ctx context.Context) (understudy.Published, error) {
	var p understudy.Published
	sum := sha256.New()
	for _, t := range j.w.cfg.Trees {
		m, mover, err := j.moverJob(ctx, t.Path, false)
		if err != nil {
			return p, err
		}
		s, err := mover.Standing(ctx, m)
		if err != nil {
			return p, j.failed(t.Path, "read the standing of", err)
		}
		if s.Published == nil || s.Shown {
			return p, j.w.refuse("US708", j.step.Site, t.Path, "the target does not show one whole set", "retry")
		}
		fmt.Fprintf(sum, "%s %s\n", t.Path, s.Published.ID)
		p.Records, p.Bytes = p.Records+s.Published.Copied, p.Bytes+s.Published.CopiedBytes
		p.SourceTime = earliest(p.SourceTime, s.Published.Asked)
		p.Set = s.Published.ID
	}
	if len(j.w.cfg.Trees) > 1 {
		p.Set = hex.EncodeToString(sum.Sum(nil))
	}
	// A tree that never held anything has a set without a name.
	p.Set = p.Set[:min(16, len(p.Set))]
	if p.Set == "" {
		p.Set = "empty"
	}
	return p, nil
}

// tellShown says which set is shown now. It reads the target, so it says the same whenever it runs.
func tellShown(ctx context.Context, j *job) (understudy.Receipt, error) {
	p, err := j.shown(ctx)
	if err != nil {
		return understudy.Receipt{}, err
	}
	return understudy.Receipt{
		Summary: fmt.Sprintf("set %s of %s is shown", p.Set, p.SourceTime.UTC().Format(time.RFC3339)), Published: &p, Keep: j.keeps(),
	}, nil
}

// proveDrained wants every tree to show the set of this very operation, which was captured when the source was fenced.
func proveDrained(ctx context.Context, j *job) (understudy.Receipt, error) {
	p := j.proof(understudy.ProofDrain, time.Hour)
	p.Link = j.link()
	p.Means = "the set that is shown was captured by this operation, after the fence of the source was proved"
	for _, t := range j.w.cfg.Trees {
		m, mover, err := j.moverJob(ctx, t.Path, false)
		if err != nil {
			return understudy.Receipt{}, err
		}
		s, err := mover.Standing(ctx, m)
		if err != nil {
			return understudy.Receipt{}, j.failed(t.Path, "read the standing of", err)
		}
		if s.Published == nil || s.Published.Run != m.Run {
			p.Complete, p.Missing = false, append(p.Missing, t.Path)
		}
	}
	return understudy.Receipt{Proofs: []understudy.Proof{p}}, nil
}

// clean drops what a run needs no more: what is staged and not ready, a ready set of which nothing is shown, and snapshots but that of the
// published set. A set that is half shown cannot be given up, so it is finished. All of it may be repeated.
func clean(ctx context.Context, j *job) (understudy.Receipt, error) {
	var r understudy.Receipt
	for _, t := range j.w.cfg.Trees {
		m, mover, err := j.moverJob(ctx, t.Path, false)
		if err != nil {
			return r, err
		}
		s, err := mover.Standing(ctx, m)
		if err == nil && halfShown(s) {
			if _, err = mover.Finish(ctx, m, nil); err == nil {
				r.Warnings = append(r.Warnings, t.Path+" was half shown, and was finished")
			}
		}
		if err != nil {
			return r, j.failed(t.Path, "finish", err)
		}
		if m, mover, err = j.moverJob(ctx, t.Path, j.sourceAnswers(ctx)); err != nil {
			return r, err
		}
		if err := mover.Drop(ctx, m); err != nil {
			return r, j.failed(t.Path, "clean up", err)
		}
	}
	if err := j.expire(ctx); err != nil {
		return r, err
	}
	if len(r.Warnings) > 0 {
		if p, err := j.shown(ctx); err == nil {
			r.Published = &p
		}
	}
	return r, nil
}

// expire removes the quarantines of links that were halted once their time has come; those of the present link the mover removes. They lie at
// either site, since each was a target before it was a source. Repeated, it finds them gone.
func (j *job) expire(ctx context.Context) error {
	keep := j.w.cfg.Guard.Keep
	if keep <= 0 {
		return nil
	}
	sites := []understudy.Site{j.step.Site}
	if j.sourceAnswers(ctx) {
		sites = append(sites, j.args.From)
	}
	for _, s := range sites {
		for _, t := range j.w.cfg.Trees {
			if err := j.w.expireTree(ctx, s, t.Path, time.Now().Add(-keep)); err != nil {
				return j.w.failure(s, t.Path, "remove old quarantines of", err)
			}
		}
	}
	return nil
}

func (w *Workload) expireTree(ctx context.Context, s understudy.Site, tree string, before time.Time) error {
	folders, err := w.at(s, tree).Folders(ctx)
	if err != nil {
		return err
	}
	for _, f := range folders {
		if f.Barred || folderEpoch(f.Name) == 0 || isLive(f) {
			continue
		}
		store, err := w.at(s, tree).Store(ctx, f.Name, false)
		if err == nil {
			_, err = store.Quarantines(ctx, before)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sourceAnswers says whether the link's source can be cleaned up now; if not, the next run does it.
func (j *job) sourceAnswers(ctx context.Context) bool {
	if j.w.opening.AbsentByPlan(j.args.From) {
		return false
	}
	_, err := j.w.sites[j.args.From].Look(ctx)
	return err == nil
}
