package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy"
)

func (a *app) actCommands() []*cobra.Command {
	var out []*cobra.Command
	for _, x := range []struct{ act, doc string }{
		{"pause", "Stop a running operation at the next boundary of a step"},
		{"resume", "Go on with an operation that was paused by an operator"},
		{"retry", "Run the failed step of a paused operation again, or take a quarantined workload back in"},
		{"skip", "Leave a failed step out, where the step allows it; needs --reason"},
		{"abort", "Turn an operation back; refused after PROMOTE"},
		{"approve", "Consent to the envelope of an operation that awaits approval"},
	} {
		var workload, reason string
		c := &cobra.Command{
			Use: x.act + " OPERATION", Short: x.doc, Args: args(cobra.ExactArgs(1)),
			RunE: func(c *cobra.Command, given []string) error {
				return a.act(c.Context(), understudy.OperationID(given[0]), x.act, understudy.WorkloadName(workload), reason)
			},
		}
		c.Flags().StringVar(&reason, "reason", "", "why, for the record")
		if x.act == "retry" || x.act == "abort" {
			c.Flags().StringVar(&workload, "workload", "", "only this quarantined workload")
		}
		out = append(out, c)
	}
	return out
}

func (a *app) act(ctx context.Context, id understudy.OperationID, act string, w understudy.WorkloadName, reason string) error {
	cl := a.client()
	defer cl.Close()
	op, err := cl.Act(ctx, id, act, w, reason)
	if err != nil {
		return err
	}
	return a.write(op, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "%s %s is %s at stage %s\n", op.Verb, op.ID, op.State, op.Stage)
		return err
	})
}
