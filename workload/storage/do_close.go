package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// rootFields are the attributes that decide who gets past a root.
const rootFields = filecopy.FieldOwner | filecopy.FieldGroup | filecopy.FieldMode | filecopy.FieldACL

// closeRoots lets nobody but understudy's user get past a site's roots, and makes those that are not there. What they looked like before is in
// the step, so a repeat keeps the same.
func closeRoots(ctx context.Context, j *job) (understudy.Receipt, error) {
	r := understudy.Receipt{Keep: understudy.Keep{}}
	before := map[string]image{}
	if err := json.Unmarshal(j.step.Before, &before); err != nil {
		return r, bug("storage.close", "the images from before cannot be read")
	}
	id, err := j.w.sites[j.step.Site].Look(ctx)
	if err != nil {
		return r, j.failed("", "reach", err)
	}
	for _, t := range j.w.cfg.Trees {
		unguarded, err := j.closeRoot(ctx, t.Path, id.User)
		if err != nil {
			return r, j.failed(t.Path, "close the root of", err)
		}
		if unguarded != "" {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s at %s is unguarded (F0): %s; foreign writes are detected as drift", t.Path, j.step.Site, unguarded))
		}
		if was, ok := before[t.Path]; ok {
			r.Keep[keepClosed(j.step.Site, t.Path)] = encode(was)
		}
	}
	return r, nil
}

// closeRoot closes one root, and says why where the store has no means of it.
func (j *job) closeRoot(ctx context.Context, tree, us string) (unguarded string, err error) {
	if g, ok := j.tree(tree).(place.Gate); ok {
		return shut(ctx, g)
	}
	store, err := j.tree(tree).Store(ctx, "", false)
	if err != nil {
		return "", err
	}
	shut := filecopy.Attributes{Owner: us, Mode: closedMode}
	if !store.Describe().Capabilities.Attributes.Has(filecopy.FieldOwner) {
		shut.Owner = ""
	}
	err = store.SetAttributes(ctx, "", shut, filecopy.FieldOwner|filecopy.FieldMode)
	if errors.Is(err, filecopy.ErrNotFound) {
		err = store.MakeDirectory(ctx, filecopy.Entry{Kind: filecopy.Directory, Attributes: shut})
	}
	return "", err
}

// settleWriters takes files that are open for writing away from their writers, and waits until they are closed: who holds one open passes the
// roots. Repeated, it finds those that are left.
func settleWriters(ctx context.Context, j *job) (understudy.Receipt, error) {
	var r understudy.Receipt
	for _, t := range j.w.cfg.Trees {
		at, ok := j.tree(t.Path).(place.Writers)
		if !ok {
			r.Warnings = append(r.Warnings, t.Path+": whoever holds a file open may still write into it")
			continue
		}
		names, err := at.Building(ctx)
		if err != nil {
			return r, j.failed(t.Path, "look for open files of", err)
		}
		if len(names) > 0 {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%d files of %s were still being written, and end where their writers were: %s", len(names), t.Path, some(names)))
		}
		for _, name := range names {
			if err := j.recoverFile(ctx, at, t.Path, name); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// recoverEvery is how often a file is looked at that is being closed.
const recoverEvery = 500 * time.Millisecond

func (j *job) recoverFile(ctx context.Context, at place.Writers, tree, name string) error {
	for {
		done, err := at.Recover(ctx, name)
		if err != nil {
			return j.failed(tree, "close "+name+" of", err)
		}
		if done {
			return nil
		}
		j.report(understudy.StepProgress{Text: "waiting until " + name + " is closed"})
		timer := time.NewTimer(recoverEvery)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// some names the first of many.
func some(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// fenceHolds is how long a proof of a fence may be relied on.
const fenceHolds = time.Hour

// proveFence tries to write below each root as an ordinary user, and reads back what the roots look like. It changes nothing.
func proveFence(ctx context.Context, j *job) (understudy.Receipt, error) {
	p := j.proof(understudy.ProofFence, fenceHolds)
	p.Level = understudy.F2
	id, err := j.w.sites[j.step.Site].Look(ctx)
	if err != nil {
		return understudy.Receipt{}, j.failed("", "reach", err)
	}
	p.CouldPass = id.CouldPass
	r := understudy.Receipt{}
	tried, read := 0, 0
	for _, t := range j.w.cfg.Trees {
		state, err := j.refusal(ctx, t.Path, id.User)
		if err != nil {
			return r, err
		}
		switch state {
		case "refused":
			tried++
		case "closed":
			read++
		default:
			p.Complete, p.Level, p.Missing = false, understudy.F0, append(p.Missing, t.Path+": "+state)
		}
	}
	p.Means = fmt.Sprintf("creating a file as an ordinary user was refused below %d of %d roots", tried, len(j.w.cfg.Trees))
	if read > 0 {
		p.Means = fmt.Sprintf("%d of %d roots read back as %04o of %s, who alone gets past them; no write was tried, since understudy cannot act as another user there", read, len(j.w.cfg.Trees), closedMode, id.User)
		r.Warnings = append(r.Warnings, p.Means)
	}
	r.Proofs = []understudy.Proof{p}
	return r, nil
}

// refusal says how it is known that an ordinary write is refused below a root: "refused" by trying, "closed" by looking, or why it is not known.
func (j *job) refusal(ctx context.Context, tree, us string) (string, error) {
	store, err := j.tree(tree).Store(ctx, "", false)
	if err != nil {
		return "", j.failed(tree, "open", err)
	}
	now, err := imageOf(ctx, j.tree(tree), store)
	if err != nil {
		return "", j.failed(tree, "look at", err)
	}
	if !now.closed(us) {
		return "the root is " + now.String(), nil
	}
	err = j.tree(tree).Try(ctx, place.Ordinary)
	switch {
	case errors.Is(err, place.ErrRefused):
		return "refused", nil
	case errors.Is(err, place.ErrUnproven) && now.gated():
		return "closed by " + now.Gate.Means + ", but the site file names no ordinary writer with whose credential that could be tried", nil
	case errors.Is(err, place.ErrUnproven):
		return "closed", nil
	case err == nil:
		return "an ordinary user could create a file", nil
	}
	return "", j.failed(tree, "try to write into", err)
}

// proveUntouched shows that the new side's roots were never opened.
func proveUntouched(ctx context.Context, j *job) (understudy.Receipt, error) {
	r, err := proveFence(ctx, j)
	if err != nil {
		return r, err
	}
	if !r.Proofs[0].Complete {
		if err := j.proveUnwritten(ctx, &r.Proofs[0]); err != nil {
			return r, err
		}
	}
	r.Proofs[0].Kind, r.Proofs[0].Level, r.Proofs[0].CouldPass = understudy.ProofNeverEnabled, "", nil
	return r, nil
}
