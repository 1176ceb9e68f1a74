package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

func (a *app) actCommands() []*cobra.Command {
	var out []*cobra.Command
	for _, x := range []struct{ act, doc string }{
		{"pause", "Stop a running operation at the next boundary of a step"},
		{"resume", "Go on with an operation that was paused by an operator"},
		{"retry", "Run the failed step of a paused operation again, or take a quarantined workload back in"},
		{"skip", "Leave a failed step out, where the step allows it; needs --reason"},
		{"abort", "Turn an operation back; refused after PROMOTE"},
		{"approve", "Consent to the envelope of an operation that awaits approval, which is printed first; describe shows it without consent"},
	} {
		var f actFlags
		c := &cobra.Command{
			Use: x.act + " OPERATION", Short: x.doc, Args: args(cobra.ExactArgs(1)),
			RunE: func(c *cobra.Command, given []string) error {
				return a.act(c.Context(), understudy.OperationID(given[0]), x.act, f)
			},
		}
		c.Flags().StringVar(&f.reason, "reason", "", "why, for the record")
		if x.act == "retry" || x.act == "abort" {
			c.Flags().StringVar(&f.workload, "workload", "", "only this quarantined workload")
		}
		if x.act == "retry" {
			c.Flags().StringVar(&f.acceptFence, "accept-fence", "", "FA: take your word, given with --as, that nobody writes the unreachable old side")
			c.Flags().StringVar(&f.as, "as", "", "the name under which the word is given")
			f.consents.bind(c)
		}
		out = append(out, c)
	}
	return out
}

// actFlags are what the decisions about an operation take.
type actFlags struct {
	workload, reason, acceptFence, as string

	consents consentFlags
}

func (a *app) act(ctx context.Context, id understudy.OperationID, act string, f actFlags) error {
	cl := a.client()
	defer cl.Close()
	req := control.ActRequest{Operation: id, Workload: understudy.WorkloadName(f.workload), Reason: f.reason, As: f.as}
	for _, c := range f.consents.given() {
		req.Accept = append(req.Accept, understudy.Consent{Shard: c.Shard, Deletes: c.Deletes, Source: c.Source})
	}
	given, err := word(f.acceptFence, f.as)
	if err != nil {
		return err
	}
	if given {
		op, err := cl.Operation(ctx, id)
		if err != nil {
			return err
		}
		req.AcceptFence = []understudy.Site{op.From}
	}
	if act == "approve" {
		if err := a.consented(ctx, cl, id); err != nil {
			return err
		}
	}
	op, err := cl.Act(ctx, act, req)
	if err != nil {
		return err
	}
	return a.write(op, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "%s %s is %s at stage %s\n", op.Verb, op.ID, op.State, op.Stage)
		return err
	})
}
