package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

func (a *app) ledgerCommand() *cobra.Command {
	c := &cobra.Command{Use: "ledger", Short: "What was lost or diverged: show, export, discard", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	var confirm, reason string
	discard := &cobra.Command{
		Use: "discard PLAN WORKLOAD OPERATION", Short: "Delete the saved records of a ledger", Args: args(cobra.ExactArgs(3)),
		RunE: func(c *cobra.Command, given []string) error {
			return a.ledgerDiscard(c.Context(), given, confirm, reason)
		},
	}
	discard.Flags().StringVar(&confirm, "confirm", "", "the plan's name, instead of typing it")
	discard.Flags().StringVar(&reason, "reason", "", "why, for the record")
	c.AddCommand(
		&cobra.Command{
			Use: "show PLAN", Short: "List the ledgers of a plan and their ranges", Args: args(cobra.ExactArgs(1)),
			RunE: func(c *cobra.Command, given []string) error {
				return a.ledgerShow(c.Context(), understudy.PlanName(given[0]))
			},
		},
		&cobra.Command{
			Use: "export PLAN WORKLOAD OPERATION", Short: "Write the saved records, one JSON document a line", Args: args(cobra.ExactArgs(3)),
			RunE: func(c *cobra.Command, given []string) error { return a.ledgerExport(c.Context(), given) },
		},
		discard)
	return c
}

func (a *app) ledgerShow(ctx context.Context, plan understudy.PlanName) error {
	cl := a.client()
	defer cl.Close()
	all, err := cl.Ledgers(ctx, plan)
	if err != nil {
		return err
	}
	return a.write(all, func(w io.Writer) error {
		rows := [][]string{{"OPERATION", "WORKLOAD", "SHARD", "SITE", "FIRST", "LAST", "RECORDS", "BYTES", "FROM", "TO", "FILE"}}
		for _, l := range all {
			for _, e := range l.Entries {
				rows = append(rows, []string{string(l.Operation), string(l.Workload), e.Shard, string(e.Site), fmt.Sprint(e.First), fmt.Sprint(e.Last),
					fmt.Sprint(e.Records), fmt.Sprint(e.Bytes), e.FirstAt.UTC().Format(time.RFC3339), e.LastAt.UTC().Format(time.RFC3339), file(l, e)})
			}
		}
		return table(w, rows)
	})
}

// file names where the records of an entry are, or who discarded them and why.
func file(l control.LedgerRecord, e understudy.LedgerEntry) string {
	if l.Discarded.IsZero() {
		return e.File
	}
	return "discarded by " + l.By
}

func (a *app) ledgerExport(ctx context.Context, given []string) error {
	cl := a.client()
	defer cl.Close()
	return cl.ExportLedger(ctx, understudy.PlanName(given[0]), understudy.WorkloadName(given[1]), understudy.OperationID(given[2]), func(line []byte) error {
		_, err := a.out.Write(append(line, '\n'))
		return err
	})
}

func (a *app) ledgerDiscard(ctx context.Context, given []string, confirm, reason string) error {
	plan := understudy.PlanName(given[0])
	if err := a.confirm("ledger discard", "deletes the saved records", "understudy ledger discard "+strings.Join(given, " "), plan, confirm); err != nil {
		return err
	}
	cl := a.client()
	defer cl.Close()
	l, err := cl.DiscardLedger(ctx, plan, understudy.WorkloadName(given[1]), understudy.OperationID(given[2]), reason)
	if err != nil {
		return err
	}
	return a.write(l, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "discarded %d records of %s\n", l.Records, l.Workload)
		return err
	})
}
