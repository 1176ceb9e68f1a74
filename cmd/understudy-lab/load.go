package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// loadFlags describe the records of a load.
type loadFlags struct {
	access  kafka.Access
	version string
	steady  kafka.Steady
	records int
}

// loaded is what loadCommand prints.
type loaded struct {
	Acknowledged int    `json:"acknowledged"`
	Refused      int    `json:"refused"`
	FirstError   string `json:"firstError,omitempty"`
}

// loadCommand writes numbered records with Kafka's own producer.
func loadCommand(std streams) *cobra.Command {
	var f loadFlags
	cmd := &cobra.Command{
		Use:   "load TOPIC",
		Short: "Write numbered records with Kafka's own Java producer (acks=all) and count what was acknowledged",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, given []string) error {
			f.steady.Topic = given[0]
			out, err := f.run(cmd.Context())
			return errors.Join(err, printLine(std.out, out))
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.access.Addr, "addr", "", "host:port of a broker")
	fl.StringVar(&f.access.User, "user", "", "SASL/PLAIN user (default anonymous)")
	fl.StringVar(&f.access.Password, "password", "", "its password")
	fl.StringVar(&f.version, "version", kafka.V44, "version of the Java client: 3.9.1 or 4.4.0")
	fl.IntVar(&f.records, "records", 1000, "end after so many acknowledged records, or at a signal")
	fl.IntVar(&f.steady.Rate, "rate", 500, "records per second")
	fl.IntVar(&f.steady.Size, "size", 100, "bytes per value")
	fl.Int32Var(&f.steady.Partitions, "partitions", 4, "partitions of the topic; it is made when it is missing")
	fl.StringVar(&f.steady.Prefix, "prefix", "r", "what stands before the numbers")
	cobra.CheckErr(cmd.MarkFlagRequired("addr"))
	return cmd
}

func (f loadFlags) run(ctx context.Context) (loaded, error) {
	dir, err := os.MkdirTemp("", "understudy-lab-load-")
	if err != nil {
		return loaded{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	c, err := kafka.NewClient(ctx, f.version, dir)
	if err != nil {
		return loaded{}, err
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Configs(ctx, f.access, f.steady.Topic); err != nil {
		topic := kafka.Topic{Name: f.steady.Topic, Partitions: f.steady.Partitions}
		if err := c.CreateTopics(ctx, f.access, topic); err != nil {
			return loaded{}, err
		}
	}
	p, err := c.Producer(ctx, f.access, nil)
	if err != nil {
		return loaded{}, err
	}
	l, err := p.Load(ctx, f.steady)
	if err != nil {
		return loaded{}, err
	}
	// A signal ends the wait, not the count: what was sent is still answered.
	if err := l.WaitAcks(ctx, f.records); err != nil && ctx.Err() == nil {
		return loaded{}, err
	}
	a, err := l.Stop(context.WithoutCancel(ctx))
	out := loaded{Acknowledged: len(a.Acks), Refused: len(a.Refusals)}
	if len(a.Refusals) > 0 {
		out.FirstError = a.Refusals[0].Error
	}
	return out, err
}
