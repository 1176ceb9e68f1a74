// Command understudy-lab starts real servers on this machine, for tests and for the demonstration on real
// Kafka. It must not know the product: who uses it talks to it as a process, by JSON lines.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// streams are the standard ones of a process. Data goes to out, messages to err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// run performs one command and returns the exit status: 0 or 1.
func run(ctx context.Context, args []string, std streams) int {
	root := &cobra.Command{
		Use:           "understudy-lab",
		Short:         "Start real servers on this machine, for tests and demonstrations",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetArgs(args)
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.AddCommand(kafkaCommand(std), pairCommand(std), clusterCommand(std), hdfsCommand(std), hdfsPairCommand(std), etcdCommand(std), adlsCommand(std), dumpCommand(std), loadCommand(std), fetchCommand(std))
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(std.err, "understudy-lab:", err)
		return 1
	}
	return 0
}
