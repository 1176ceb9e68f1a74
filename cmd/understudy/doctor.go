package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/workload"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor [PLAN]", Short: "Look at clusters, versions, rights and clocks",
		Long: "Look at clusters, versions, rights and clocks. Nothing is changed that anybody else sees: to try its rights in a bucket or a container, " +
			"understudy writes an empty object into a folder of its own there, and removes it.",
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			plan := ""
			if len(given) == 1 {
				plan = given[0]
			}
			return a.doctor(c.Context(), understudy.PlanName(plan))
		},
	}
}

func (a *app) doctor(ctx context.Context, plan understudy.PlanName) error {
	cl := a.client()
	defer cl.Close()
	f, err := cl.Doctor(ctx, plan)
	if err != nil {
		return err
	}
	return a.writeFindings(f)
}

// writeFindings tells what was found, and ends with the status for it.
func (a *app) writeFindings(f control.Findings) error {
	if err := a.write(f, func(w io.Writer) error { return writeFindings(w, f) }); err != nil {
		return err
	}
	return findingsOutcome(f)
}

func writeFindings(w io.Writer, f control.Findings) error {
	p := &printer{w: w}
	for _, x := range f.Workloads {
		p.line("%s/%s", x.Plan, x.Workload)
		for _, site := range slices.Sorted(maps.Keys(x.Sites)) {
			writeSite(p, site, x.Sites[site])
		}
		for _, y := range x.Findings {
			p.line("  %-7s %s %s", y.Level, y.Code, y.Summary)
			if y.Fix != "" {
				p.line("          fix: %s", y.Fix)
			}
		}
		if x.Error != nil {
			writeProblem(p, x.Error)
		}
	}
	return p.err
}

// writeSite tells what a cluster that answers says of itself, and of another one why it does not.
func writeSite(p *printer, site understudy.Site, s workload.SiteFacts) {
	switch {
	case s.Presence == workload.Present && s.Error != nil:
		p.line("  %-10s %s, and nothing more is known of it", site, s.Presence) // why is among the findings
		return
	case s.Presence != workload.Present:
		p.line("  %-10s %s", site, s.Presence)
	default:
		p.line("  %-10s %-11s %s %s, clock %s, writes: %s", site, s.Presence, s.Identity, s.Version, clock(s), s.Writable)
	}
	if s.Error != nil {
		writeProblem(p, s.Error)
	}
}

// clock tells how far a cluster's clock is from ours, and as of when.
func clock(s workload.SiteFacts) string {
	if s.ClockAt.IsZero() {
		return "not measured yet"
	}
	return fmt.Sprintf("%+dms as of %s", s.ClockSkew.Milliseconds(), s.ClockAt.UTC().Format(time.RFC3339))
}

func writeProblem(p *printer, e *understudy.Error) {
	p.line("    %s", e.Error())
	if e.Why != "" {
		p.line("          why: %s", e.Why)
	}
	if e.Fix != "" {
		p.line("          fix: %s", e.Fix)
	}
}

// findingsOutcome is 8 when a site does not answer, 5 when something would be refused, else 0.
func findingsOutcome(f control.Findings) error {
	status := exitOK
	for _, x := range f.Workloads {
		for _, y := range x.Findings {
			if y.Level == "refuse" {
				return &exitError{status: exitRefused, quiet: true, err: fmt.Errorf("%s", y.Summary)}
			}
		}
		for _, s := range x.Sites {
			if s.Presence == "unreachable" {
				status = exitUnreachable
			}
		}
		if x.Error != nil {
			status = exitFailed
		}
	}
	if status == exitOK {
		return nil
	}
	return &exitError{status: status, quiet: true}
}
