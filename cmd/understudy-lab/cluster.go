package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// clusterCommand runs several brokers of one cluster that can be killed and started again by orders on standard input.
func clusterCommand(std streams) *cobra.Command {
	var o kafka.Options
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Run a Kafka cluster of several brokers that take orders on standard input",
		Long: `Run several Kafka brokers of one cluster on loopback, each a process of its own: NAME-1, NAME-2 and so on.
All are controllers too, but the last one of an even number: any one may be killed, of two only the second.
A broker that was killed is known to be gone after three seconds. When all are ready, one JSON line on standard output
lists them. Each further line answers one order on standard input, such as

  {"do":"kill","name":"kafka-3"}

Orders: kill, stop, start, pause, resume, status. They may be words: kill kafka-3.
The end of the input, or a signal, ends all.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return inDirectory(&o.Dir, func() error { return runCluster(cmd.Context(), o, std) })
		},
	}
	dirFlag(cmd, &o.Dir)
	f := cmd.Flags()
	f.StringVar(&o.Version, "version", kafka.V44, "Kafka version: 3.9.1 or 4.4.0")
	f.StringVar(&o.Name, "name", "kafka", "name of the cluster")
	f.IntVar(&o.Brokers, "brokers", 3, "how many brokers")
	f.IntVar(&o.Replication, "replication", 3, "replicas of a topic that nobody says otherwise of, and of Kafka's own")
	f.IntVar(&o.MinInsync, "min-insync", 2, "how many of them must have a record (min.insync.replicas)")
	f.BoolVar(&o.Authorizer, "authorizer", false, "turn on access control and SASL/PLAIN listeners")
	f.StringToStringVar(&o.Users, "user", nil, "NAME=PASSWORD of a SASL user; may be repeated")
	f.StringToStringVar(&o.Properties, "set", nil, "NAME=VALUE of a server property; may be repeated")
	return cmd
}

// runCluster starts the brokers, takes orders, and ends them.
func runCluster(ctx context.Context, o kafka.Options, std streams) (err error) {
	start := time.Now()
	c, err := kafka.StartCluster(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	nodes := pair[*kafka.Broker]{
		list: func(all []*kafka.Broker, a *answer) {
			for _, b := range all {
				a.Servers = append(a.Servers, describe(b))
			}
		},
		perform: func(ctx context.Context, all []*kafka.Broker, o order) error {
			for _, b := range all {
				if b.Name() == o.Name {
					return o.perform(ctx, b)
				}
			}
			return fmt.Errorf("no server is called %q", o.Name)
		},
	}
	return nodes.serve(ctx, "cluster", std, c.Brokers, start)
}
