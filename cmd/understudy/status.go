package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/api"
	"github.com/understudy-dr/understudy/control"
)

func (a *app) statusCommand() *cobra.Command {
	var watch, check bool
	c := &cobra.Command{
		Use: "status [PLAN]", Short: "What would be lost now, against the objective, and what to do next",
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			if watch && check {
				return usageError(c, errors.New("--watch goes on, and --check ends with a verdict: one of the two"))
			}
			cl := a.client()
			defer cl.Close()
			if watch {
				return a.watchStatus(c.Context(), cl, given)
			}
			return a.status(c.Context(), cl, given, check)
		},
	}
	c.Flags().BoolVar(&watch, "watch", false, "write it again every two seconds until interrupted")
	c.Flags().BoolVar(&check, "check", false, "exit with status 1 when an objective is breached")
	return c
}

func (a *app) status(ctx context.Context, cl *api.Client, given []string, check bool) error {
	all, err := statuses(ctx, cl, given)
	if err != nil {
		return err
	}
	if err := a.write(all, func(w io.Writer) error { return writeStatus(w, all) }); err != nil {
		return err
	}
	if !check {
		return nil
	}
	for _, s := range all {
		if s.Verdict == "breach" {
			return &understudy.Error{Code: "US509", Kind: understudy.KindBug, Object: understudy.Object{Plan: s.Plan}, Summary: "an objective is breached", Fix: s.Next}
		}
	}
	return nil
}

func (a *app) watchStatus(ctx context.Context, cl *api.Client, given []string) error {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		err := a.status(ctx, cl, given, false)
		if ctx.Err() != nil {
			return nil // being interrupted is its regular end, in the middle of a look too
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func statuses(ctx context.Context, cl *api.Client, given []string) ([]control.PlanStatus, error) {
	if len(given) == 0 {
		plans, err := cl.Plans(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range plans {
			given = append(given, string(p.Plan))
		}
	}
	out := []control.PlanStatus{}
	for _, name := range given {
		s, err := cl.Status(ctx, understudy.PlanName(name))
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// writeStatus gives one table of workloads, then what a person should know and do.
func writeStatus(w io.Writer, all []control.PlanStatus) error {
	rows := [][]string{{"PLAN", "WORKLOAD", "ACTIVE", "PROTECTION", "EXPOSURE", "OBJECTIVE", "BACKLOG", "VERIFIED"}}
	for _, p := range all {
		for _, x := range p.Workloads {
			rows = append(rows, statusRow(p, x))
		}
	}
	if err := table(w, rows); err != nil {
		return err
	}
	p := &printer{w: w}
	for _, s := range all {
		p.status(s)
	}
	return p.err
}

func statusRow(p control.PlanStatus, x control.WorkloadStatus) []string {
	active, verified := "-", "never"
	if x.Role != nil {
		active = "none"
		if !x.Role.None() {
			active = strings.Trim(fmt.Sprint(x.Role.Active), "[]")
		}
	}
	if x.Verified != nil {
		verified = fmt.Sprintf("%s %s ago", x.Verified.Outcome, short(p.At.Sub(x.Verified.At)))
	}
	return []string{string(p.Plan), string(x.Workload), active, string(x.Protection), exposure(x.Exposure), short(x.Objective),
		backlog(x.Exposure), verified}
}

// backlog estimates what is not copied yet. Behind a source that does not answer nobody can know, nor between two runs.
func backlog(e understudy.Exposure) string {
	if !e.SourceReachable || e.Set != "" {
		return "unknown"
	}
	return fmt.Sprintf("~%d records", e.Records)
}

func (p *printer) status(s control.PlanStatus) {
	for _, x := range s.Workloads {
		for _, o := range x.Old {
			p.old(s.Plan, x.Workload, o)
		}
		for _, c := range x.Clusters {
			p.line("%s/%s: %s: cluster %s is %s (%s)", s.Plan, x.Workload, c.Site, c.Cluster, c.State, c.Provisioner)
		}
		for _, l := range x.Links {
			p.link(s.Plan, x.Workload, l, s.At)
		}
		for _, f := range x.Findings {
			if f.Level != "ok" {
				p.line("%s/%s: %s: %s", s.Plan, x.Workload, f.Level, f.Summary)
			}
		}
		for _, n := range x.Notes {
			p.line("%s/%s: %s", s.Plan, x.Workload, n)
		}
	}
	if s.Current != nil {
		p.line("%s: %s %s is %s at stage %s", s.Plan, s.Current.Verb, s.Current.ID, s.Current.State, s.Current.Stage)
		p.now(fmt.Sprint(s.Plan), s.Current.Now)
		p.retrying(fmt.Sprint(s.Plan), s.Current.Retrying)
	}
	if s.Next != "" {
		p.line("%s: next: %s", s.Plan, s.Next)
	}
}

// old tells of a site that must not take writes, and why it is not known to be fenced.
func (p *printer) old(plan understudy.PlanName, name understudy.WorkloadName, o control.OldSite) {
	if o.Error == nil {
		p.line("%s/%s: %s %s", plan, name, o.Site, o.Text)
		return
	}
	p.line("%s/%s: %s %s: %s", plan, name, o.Site, o.Text, oneLine(o.Error))
	if o.Error.Fix != "" {
		p.line("  fix: %s", o.Error.Fix)
	}
}

func (p *printer) link(plan understudy.PlanName, name understudy.WorkloadName, l control.LinkStatus, at time.Time) {
	if l.AcrossWAN {
		p.line("%s/%s: %s>%s is produced across the wire: run serve at %s", plan, name, l.Link.From, l.Link.To, l.Link.To)
	}
	if l.Error != nil {
		p.line("%s/%s: %s>%s: %s", plan, name, l.Link.From, l.Link.To, oneLine(l.Error))
	}
	p.schedule(plan, name, l, at)
	if l.Progress == nil {
		return
	}
	for _, s := range l.Progress.Shards {
		if s.Error != nil {
			p.line("%s/%s: %s %s: %s", plan, name, s.Shard, s.State, oneLine(s.Error))
		}
	}
}

// sweep tells when a run does more than copying what changed.
func (p *printer) sweep(plan understudy.PlanName, name understudy.WorkloadName, s control.SweepStatus, at time.Time) {
	switch {
	case s.Error != nil:
		p.line("%s/%s: the last %s was refused: %s", plan, name, s.Sweep, oneLine(s.Error))
	case !s.Due.IsZero():
		p.line("%s/%s: the next run does a %s", plan, name, s.Sweep)
	case !s.Next.IsZero():
		p.line("%s/%s: %s %s: next in %s", plan, name, s.Sweep, s.Schedule, short(s.Next.Sub(at)))
	}
}

// schedule tells when a link is replicated next, what waits, and why the last run failed.
func (p *printer) schedule(plan understudy.PlanName, name understudy.WorkloadName, l control.LinkStatus, at time.Time) {
	r := l.Schedule
	if r == nil {
		return
	}
	p.line("%s/%s: %s>%s is replicated %s: next in %s", plan, name, l.Link.From, l.Link.To, r.Schedule, short(r.Next.Sub(at)))
	if !r.Due.IsZero() {
		p.line("%s/%s: a run has been due for %s (%d later ones are merged into it)", plan, name, short(at.Sub(r.Due)), r.Merged)
	}
	for _, s := range r.Sweeps {
		p.sweep(plan, name, s, at)
	}
	if r.Run != "" && !r.State.Final() {
		p.line("%s/%s: run %s is %s", plan, name, r.Run, r.State)
		p.now(fmt.Sprintf("%s/%s", plan, name), r.Now)
		p.retrying(fmt.Sprintf("%s/%s", plan, name), r.Retrying)
	}
	if r.Error != nil {
		p.line("%s/%s: the last run failed: %s", plan, name, oneLine(r.Error))
	}
}

// now tells how far the running step of an operation is.
func (p *printer) now(of string, sp *understudy.StepProgress) {
	switch {
	case sp == nil:
	case sp.Total > 0:
		p.line("%s: now: %s (%d of %d %s)", of, sp.Text, sp.Done, sp.Total, sp.Unit)
	default:
		p.line("%s: now: %s", of, sp.Text)
	}
}

// retrying tells why a step that seems to hang is tried again.
func (p *printer) retrying(of string, r *control.Retrying) {
	if r == nil {
		return
	}
	p.line("%s: step %s of %s is tried again since %s, %d times; the last failure, at %s: %s",
		of, r.Step, r.Workload, r.Since.UTC().Format(time.RFC3339), r.Times, r.At.UTC().Format(time.RFC3339), oneLine(r.Error))
}
