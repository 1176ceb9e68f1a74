package main

import (
	"slices"

	"github.com/spf13/cobra"
)

// commands lists every command; each is a plain function in a file of its own.
func (a *app) commands() []*cobra.Command {
	return slices.Concat(
		[]*cobra.Command{a.demoCommand(), a.statusCommand()},
		a.operateCommands(),
		a.actCommands(),
		[]*cobra.Command{
			a.serveCommand(),
			a.initCommand(),
			a.validateCommand(),
			a.schemaCommand(),
			a.diffCommand(),
			a.applyCommand(),
			a.ledgerCommand(),
			a.getCommand(),
			a.describeCommand(),
			a.reportCommand(),
			a.doctorCommand(),
			a.explainCommand(),
			a.versionCommand(),
			a.manCommand(a.root),
			a.completionCommand(a.root),
		},
	)
}
