package main

import (
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
			return inDirectory(&o.Dir, func() error {
				b, err := kafka.Start(cmd.Context(), o)
				if err != nil {
					return err
				}
				return runOne(cmd.Context(), std, b, describe(b))
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
