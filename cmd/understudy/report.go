package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

func (a *app) reportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "report OPERATION", Short: "Everything about one operation: stages, steps, times, exposure, ledger, who",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			return a.report(c.Context(), understudy.OperationID(given[0]))
		},
	}
}

func (a *app) report(ctx context.Context, id understudy.OperationID) error {
	cl := a.client()
	defer cl.Close()
	r, err := cl.Report(ctx, id)
	if err != nil {
		return err
	}
	return a.write(r, func(w io.Writer) error { return writeReport(w, r) })
}

// writeReport gives the report as people read it; the JSON document has everything.
func writeReport(w io.Writer, r control.Report) error {
	op := r.Operation
	p := &printer{w: w}
	p.line("%s %s  %s  %s", op.Verb, op.Plan, op.ID, op.State)
	if op.From != "" && op.To != "" {
		p.line("%s → %s, started %s by %s", op.From, op.To, op.Created.UTC().Format(time.RFC3339), op.By)
	}
	if op.State == control.AwaitingApproval {
		p.envelope(op)
	}
	for _, s := range r.Stages {
		p.stage(s)
	}
	p.rto(r.RTO)
	for _, l := range r.Loss {
		p.loss(l)
	}
	for _, l := range r.Ledger {
		p.line("ledger %s: %d records, %d bytes, %s", l.Workload, l.Records, l.Bytes, l.Dir)
	}
	for _, part := range op.Parts {
		p.part(part)
	}
	for _, x := range r.Warnings {
		p.line("note: %s", x)
	}
	for _, x := range r.Who {
		p.line("who: %s %s: %s", x.At.UTC().Format(time.RFC3339), x.By, x.Text)
	}
	p.retrying("now", op.Retrying)
	if op.Error != nil {
		p.line("%s", strings.TrimRight(renderError(op.Error), "\n"))
	}
	if op.Next != "" {
		p.line("next: %s", op.Next)
	}
	return p.err
}

// printer writes lines and remembers the first failure.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, v ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", v...)
	}
}

func (p *printer) stage(s control.StageReport) {
	took := ""
	if !s.Ended.IsZero() {
		took = short(s.Ended.Sub(s.Began))
	}
	p.line("  %-10s %s", s.Name, took)
	for _, x := range s.Steps {
		text := x.Step.Summary
		if x.Receipt != nil && x.Receipt.Summary != "" {
			text = x.Receipt.Summary
		}
		if x.Skipped != "" {
			text += " (skipped: " + x.Skipped + ")"
		}
		p.line("    %-8s %s: %s", x.State, x.Workload, text)
	}
	for _, n := range s.Notes {
		p.line("    note: %s", n)
	}
}

func (p *printer) rto(r control.RTO) {
	if r.Total == 0 {
		return
	}
	p.line("RTO %s = detect %s + confirm %s + approve %s + fence %s + promote %s + verify %s; route %s",
		short(r.Total), short(r.Detect), short(r.Confirm), short(r.Approve), short(r.Fence), short(r.Promote), short(r.Verify), short(r.Route))
}

func (p *printer) loss(l control.LossReport) {
	text := fmt.Sprintf("loss %s: objective %s", l.Workload, short(l.Objective))
	for _, b := range []struct {
		name string
		e    *understudy.Exposure
	}{{"bound before", l.Bound}, {"bound after salvage", l.Rebound}} {
		if b.e != nil {
			text += fmt.Sprintf(", %s %s", b.name, exposure(*b.e))
		}
	}
	if l.Realised != nil {
		text += fmt.Sprintf(", realised %d records", *l.Realised)
	}
	p.line("%s", text)
}

func (p *printer) part(x control.Part) {
	if x.State != control.Included {
		p.line("%s: %s", x.Workload, x.State)
	}
	v := x.Verdict
	if v == nil {
		return
	}
	p.line("%s: %s  %d records, %d bytes compared in %d shards (%s)", x.Workload, v.Outcome, v.Compared, v.Bytes, v.Shards, v.Coverage)
	for _, d := range v.Differences {
		p.line("  %s %s %d–%d: %s", d.Shard, d.Outcome, d.First, d.Last, d.Text)
	}
}

// exposure gives a bound in words; an unknown one is never a number.
func exposure(e understudy.Exposure) string {
	if !e.Known {
		return "unknown"
	}
	s := short(e.Bound)
	if !e.SourceReachable {
		s += " (source unreachable, growing)"
	}
	return s
}

// short rounds a duration to what a person reads.
func short(d time.Duration) string {
	switch {
	case d <= 0:
		return "0s"
	case d < 10*time.Second:
		return d.Round(time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}

// writeDryRun shows what would happen.
func writeDryRun(w io.Writer, d control.DryRun) error {
	p := &printer{w: w}
	p.line("%s %s: %s → %s, by the facts of this moment; nothing was changed", d.Verb, d.Plan, d.From, d.To)
	for _, s := range d.Stages {
		p.line("  %-10s %s", s.Name, s.Does)
		if s.Hook != "" {
			p.line("    hook %s", s.Hook)
		}
		for _, x := range s.Steps {
			p.line("    %s: %s", x.Workload, x.Step.Summary)
		}
		for name, e := range s.Refused {
			p.line("    %s would be refused: %s", name, oneLine(e))
		}
	}
	for name, e := range d.Exposure {
		p.line("%s would lose at most %s", name, exposure(e))
	}
	return p.err
}

// table writes aligned columns.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, r := range rows {
		if _, err := fmt.Fprintln(t, strings.Join(r, "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}
