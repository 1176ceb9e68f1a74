package storage

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// writeStamps writes who owns the trees, beside each. A stamp of a newer role stays: writing an older one twice, or late, would hide it.
func writeStamps(ctx context.Context, j *job) (understudy.Receipt, error) {
	next := understudy.Stamp{ControlPlane: j.run.ControlPlane, Plan: j.w.spec.Plan, Workload: j.w.spec.Name, Role: *j.args.Role}
	for _, t := range j.w.cfg.Trees {
		if err := j.writeStamp(ctx, t.Path, next); err != nil {
			return understudy.Receipt{}, j.failed(t.Path, "write the stamp of", err)
		}
	}
	return understudy.Receipt{}, nil
}

func (j *job) writeStamp(ctx context.Context, tree string, next understudy.Stamp) error {
	store, err := j.tree(tree).Store(ctx, "", false)
	if err != nil {
		return err
	}
	have, err := readStamp(ctx, store)
	if err != nil {
		return err
	}
	if have != nil && have.ControlPlane == next.ControlPlane && have.Plan == next.Plan && have.Workload == next.Workload && have.Role.Epoch >= next.Role.Epoch {
		return nil
	}
	doc, err := json.Marshal(next)
	if err != nil {
		return err
	}
	return store.Keep(ctx, stampName, bytes.NewReader(doc))
}

// clearStamps takes our own stamps away. An absent one is none to take away.
func clearStamps(ctx context.Context, j *job) (understudy.Receipt, error) {
	for _, t := range j.w.cfg.Trees {
		store, err := j.tree(t.Path).Store(ctx, "", false)
		if err == nil {
			err = j.clearStamp(ctx, store)
		}
		if err != nil {
			return understudy.Receipt{}, j.failed(t.Path, "take the stamp of", err)
		}
	}
	return understudy.Receipt{}, nil
}

func (j *job) clearStamp(ctx context.Context, store filecopy.Target) error {
	have, err := readStamp(ctx, store)
	if err != nil || have == nil || have.ControlPlane != j.run.ControlPlane || have.Plan != j.w.spec.Plan || have.Workload != j.w.spec.Name {
		return err
	}
	return store.Forget(ctx, stampName)
}
