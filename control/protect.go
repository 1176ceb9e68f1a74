package control

import (
	"context"
	"fmt"
	"strings"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// own refuses sites that carry another control plane's stamp, and whatever the kind refuses.
func (w *walk) own(ctx context.Context, p workload.Planned) error {
	obs, err := w.look(ctx, p)
	if err != nil {
		return err
	}
	for _, site := range p.Sites {
		stamp := obs.Stamp[site]
		if stamp == nil || stamp.ControlPlane == w.s.id {
			continue
		}
		o := objectOf(p)
		o.Site = site
		return refused("US252", o, "the site belongs to another control plane, "+stamp.ControlPlane,
			fmt.Sprintf("nothing was changed; if that control plane still runs, unprotect plan %s with it; if it is lost for good, `understudy explain US252` says what a person does", stamp.Plan))
	}
	h, err := w.s.handles.get(ctx, p)
	if err != nil {
		return err
	}
	findings, err := recognised(ctx, w.s.opt.Journal, h, p, obs)
	if err != nil {
		return err
	}
	for _, f := range findings {
		if f.Level == "refuse" {
			return &understudy.Error{Code: f.Code, Kind: understudy.KindRefused, Op: "control.check", Object: f.Object, Summary: f.Summary, Fix: f.Fix}
		}
	}
	return nil
}

// openRoles gives workloads that never had one their first role: home is active.
func (w *walk) openRoles(ctx context.Context) error {
	var moves []roleMove
	for _, p := range included(w.plan, &w.op) {
		role, version, err := w.s.role(ctx, objectOf(p))
		if err != nil {
			return err
		}
		if version != 0 {
			continue
		}
		obs, err := w.look(ctx, p)
		if err != nil {
			return err
		}
		moves = append(moves, roleMove{p, version, above(role, obs.HighestEpoch).Promoted(w.op.From)})
	}
	return w.moveRoles(moves, nil)
}

// await waits until the links into the target have come as far as wanted, and stops where a shard is broken.
func (w *walk) await(ctx context.Context, p workload.Planned, want understudy.Protection) error {
	if w.s.scheduled(p) {
		return w.copied(ctx, p)
	}
	for {
		woken := w.s.changed.wait()
		arrived, err := w.arrived(ctx, p, want)
		if arrived || err != nil {
			return err
		}
		if err := w.boundary(); err != nil {
			return err
		}
		select {
		case <-woken:
		case <-w.s.drain.Done():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (w *walk) arrived(ctx context.Context, p workload.Planned, want understudy.Protection) (bool, error) {
	role, _, err := w.s.role(ctx, objectOf(p))
	if err != nil {
		return false, err
	}
	for _, l := range w.into(p, role) {
		progress, ok, err := w.s.fresh(ctx, l, role.Epoch)
		if err != nil || !ok {
			return false, err
		}
		w.run.report(understudy.StepProgress{
			Text: fmt.Sprintf("%s is %s", l, progress.State), Done: progress.CopiedRecords,
			Total: progress.CopiedRecords + progress.Records, Unit: "records",
		})
		switch progress.State {
		case understudy.Protected:
		case understudy.CatchingUp:
			if want == understudy.Protected {
				return false, nil
			}
		case understudy.Broken, understudy.Diverged:
			return false, stopped(p, progress)
		default:
			return false, nil
		}
	}
	return true, nil
}

// stopped is the error of a link with a shard that cannot go on.
func stopped(p workload.Planned, progress understudy.Progress) error {
	for _, s := range progress.Shards {
		if s.Error != nil {
			return s.Error
		}
	}
	return &understudy.Error{
		Code: "US255", Kind: understudy.KindBroken, Op: "control.await", Object: objectOf(p),
		Summary: "the link " + progress.Link.String() + " is " + string(progress.State),
		Fix:     "look at `understudy status " + string(p.Plan) + "`",
	}
}

// forget ends the protection: the links are over, and the standing duty with them. The role stays, so that its
// epoch never goes back. Each workload has its own transaction; one that has no links left is forgotten already.
func (w *walk) forget(ctx context.Context) error {
	for _, p := range included(w.plan, &w.op) {
		entries, _, err := w.s.opt.Journal.List(ctx, linkPrefix(p))
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			continue
		}
		err = w.amend(func(op *Operation, t *change) ([]Event, error) {
			for _, e := range entries {
				t.drop(e.Key)
				// What was proven of the copy ends with it: nobody guards it any more.
				of := strings.TrimPrefix(e.Key, prefixLinks)
				t.drop("/schedule/" + of)
				t.drop("/progress/" + of)
			}
			return []Event{{Kind: EventNote, Stage: op.Stage, Pass: op.Pass, Workload: p.Name, Text: "no longer protected"}}, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
