package main

import (
	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy/lab/adls"
)

// adlsCommand serves the DFS endpoint of one account in this process until a signal.
func adlsCommand(std streams) *cobra.Command {
	var c adls.Config
	cmd := &cobra.Command{
		Use:   "adls",
		Short: "Serve the DFS endpoint of an ADLS Gen2 account on loopback until a signal",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return adls.Serve(cmd.Context(), c, std.out) },
	}
	cmd.Flags().StringVar(&c.Dir, "data", "", "directory for the data (default none: it is forgotten)")
	cmd.Flags().IntVar(&c.Port, "port", 0, "port (default a free one)")
	return cmd
}
