package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// server is a running broker as others see it.
type server struct {
	Name string `json:"name"`
	// Addr is the plain listener's host:port, SASL the authenticated one's, WAN the delayed one's.
	Addr      string `json:"addr"`
	SASL      string `json:"sasl,omitempty"`
	WAN       string `json:"wan,omitempty"`
	PID       int    `json:"pid"`
	ClusterID string `json:"clusterId"`
	Version   string `json:"version"`
	Log       string `json:"log"`
	Running   bool   `json:"running"`
}

func describe(b *kafka.Broker) server {
	return server{
		Name: b.Name(), Addr: b.Addr(), SASL: b.SASLAddr(), WAN: b.WANAddr(), PID: b.PID(),
		ClusterID: b.ClusterID(), Version: b.Version(), Log: b.Log(), Running: b.Running(),
	}
}

// kafkaCommand runs one broker until a signal or the end of standard input.
func kafkaCommand(std streams) *cobra.Command {
	o := kafka.Options{}
	cmd := &cobra.Command{
		Use:   "kafka",
		Short: "Run one Kafka broker on loopback until a signal or the end of standard input",
		Long: "Run one Kafka broker on loopback. When it is ready, one JSON line on standard output says where.\n" +
			"It runs until a signal or until standard input ends.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return inDirectory(o.Dir, func(dir string) error {
				o.Dir = dir
				return runKafka(cmd.Context(), o, std)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Version, "version", kafka.V44, "Kafka version: 3.9.1 or 4.4.0")
	f.StringVar(&o.Name, "name", "kafka", "name of the broker")
	f.StringVar(&o.Dir, "dir", "", "directory for data and log (default a temporary one, removed at the end)")
	f.StringVar(&o.ClusterID, "cluster-id", "", "cluster id (default a random one)")
	f.IntVar(&o.Port, "port", 0, "port of the plain listener (default a free one)")
	f.BoolVar(&o.Authorizer, "authorizer", false, "turn on access control and a SASL/PLAIN listener")
	f.StringToStringVar(&o.Users, "user", nil, "NAME=PASSWORD of a SASL user; may be repeated")
	f.StringToStringVar(&o.Properties, "set", nil, "NAME=VALUE of a server property; may be repeated")
	f.IntVar(&o.HeapMB, "heap-mb", 0, "largest Java heap in MiB (default 384)")
	f.BoolVar(&o.Optimise, "optimise", false, "use the JVM's optimising compiler, for benchmarks")
	return cmd
}

func runKafka(ctx context.Context, o kafka.Options, std streams) error {
	b, err := kafka.Start(ctx, o)
	if err != nil {
		return err
	}
	if err := printLine(std.out, describe(b)); err != nil {
		return errors.Join(err, b.Close())
	}
	err = eachLine(ctx, std.in, func([]byte) error { return nil })
	// The context has ended when a signal came; the broker's end is bounded by itself.
	return errors.Join(err, b.Stop(context.WithoutCancel(ctx)), b.Close())
}

// inDirectory makes a temporary directory where none is given, and removes that one at the end.
func inDirectory(dir string, do func(dir string) error) error {
	if dir != "" {
		return do(dir)
	}
	dir, err := os.MkdirTemp("", "understudy-lab-")
	if err != nil {
		return err
	}
	return errors.Join(do(dir), os.RemoveAll(dir))
}
