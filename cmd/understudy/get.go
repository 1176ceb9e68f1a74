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
		Use: "describe PLAN|OPERATION", Short: "Everything about a plan or an operation", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			if strings.HasPrefix(given[0], "op-") {
				return a.report(c.Context(), understudy.OperationID(given[0]))
			}
			cl := a.client()
			defer cl.Close()
			return a.status(c.Context(), cl, given, false)
		},
	}
}
