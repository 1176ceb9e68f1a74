package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

func (a *app) getCommand() *cobra.Command {
	var open bool
	c := &cobra.Command{
		Use: "get plans|operations [PLAN]", Short: "List plans or operations",
		Args: args(cobra.RangeArgs(1, 2)), ValidArgs: []string{"plans", "operations"},
		RunE: func(c *cobra.Command, given []string) error {
			plan := ""
			if len(given) == 2 {
				plan = given[1]
			}
			switch given[0] {
			case "plans":
				if plan != "" || open {
					return usageError(c, errors.New("get plans lists all of them; one is shown by understudy describe PLAN"))
				}
				return a.getPlans(c.Context())
			case "operations":
				return a.getOperations(c.Context(), understudy.PlanName(plan), open)
			}
			return usageError(c, fmt.Errorf("unknown thing %q: plans or operations", given[0]))
		},
	}
	c.Flags().BoolVar(&open, "open", false, "leave out operations that have ended")
	return c
}

func (a *app) getPlans(ctx context.Context) error {
	cl := a.client()
	defer cl.Close()
	plans, err := cl.Plans(ctx)
	if err != nil {
		return err
	}
	return a.write(plans, func(w io.Writer) error {
		rows := [][]string{{"PLAN", "HOME", "SITES", "WORKLOADS"}}
		for _, p := range plans {
			rows = append(rows, []string{string(p.Plan), string(p.Home), strings.Trim(fmt.Sprint(p.Sites), "[]"), strings.Trim(fmt.Sprint(p.Workloads), "[]")})
		}
		return table(w, rows)
	})
}

func (a *app) getOperations(ctx context.Context, plan understudy.PlanName, open bool) error {
	cl := a.client()
	defer cl.Close()
	ops, err := cl.Operations(ctx, plan, open)
	if err != nil {
		return err
	}
	return a.write(ops, func(w io.Writer) error {
		rows := [][]string{{"OPERATION", "VERB", "PLAN", "STATE", "STAGE", "CREATED", "BY"}}
		for _, o := range ops {
			rows = append(rows, []string{string(o.ID), string(o.Verb), string(o.Plan), string(o.State), string(o.Stage), o.Created.UTC().Format(time.RFC3339), o.By})
		}
		return table(w, rows)
	})
}

func (a *app) describeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "describe PLAN|OPERATION", Short: "Everything about an operation, or about a plan: its status, and what is proven of each shard", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			if strings.HasPrefix(given[0], "op-") {
				return a.report(c.Context(), understudy.OperationID(given[0]))
			}
			cl := a.client()
			defer cl.Close()
			all, err := statuses(c.Context(), cl, given)
			if err != nil {
				return err
			}
			return a.write(all, func(w io.Writer) error { return writeDescription(w, all) })
		},
	}
}

// writeDescription gives the status, and below it what is proven of each shard of each link.
func writeDescription(w io.Writer, all []control.PlanStatus) error {
	if err := writeStatus(w, all); err != nil {
		return err
	}
	rows := [][]string{{"LINK", "SHARD", "STATE", "SAFE UP TO", "EXPOSURE", "SOURCE END", "TARGET END"}}
	for _, p := range all {
		for _, x := range p.Workloads {
			for _, l := range x.Links {
				rows = append(rows, shardRows(l, p.At)...)
			}
		}
	}
	if len(rows) == 1 {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return table(w, rows)
}

// shardRows tells of each shard up to when the target provably holds everything, and how long ago that was.
func shardRows(l control.LinkStatus, at time.Time) [][]string {
	if l.Progress == nil {
		return nil
	}
	var rows [][]string
	for _, s := range l.Progress.Shards {
		safe, exposed := "never", "unknown"
		if !s.Safe.IsZero() {
			safe, exposed = s.Safe.UTC().Format(time.RFC3339), short(at.Sub(s.Safe))
		}
		rows = append(rows, []string{
			l.Link.String(), s.Shard, string(s.State), safe, exposed, strconv.FormatInt(s.Source, 10), strconv.FormatInt(s.Target, 10),
		})
	}
	return rows
}
