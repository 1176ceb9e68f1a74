package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy/lab/kafka"
	"github.com/understudy-dr/understudy/lab/proxy"
)

// shape is a path's condition: delays in milliseconds one way, rate in bytes per second each way.
type shape struct {
	OutMS  int  `json:"outMs"`
	BackMS int  `json:"backMs"`
	Rate   int  `json:"rate"`
	Cut    bool `json:"cut"`
	Frozen bool `json:"frozen"`
}

// site is one broker of a pair and the path to it.
type site struct {
	broker *kafka.Broker
	wan    *proxy.Proxy
}

// pairCommand runs two brokers that can be killed and started again by orders on standard input.
func pairCommand(std streams) *cobra.Command {
	var both couple
	var versions []string
	var o kafka.Options
	cmd := &cobra.Command{
		Use:   "pair",
		Short: "Run two Kafka brokers that take orders on standard input",
		Long: `Run two Kafka brokers on loopback, each also reachable over a path that can be delayed and cut (wan).
When both are ready, one JSON line on standard output lists them. Each further line answers one order on
standard input, such as

  {"do":"kill","name":"east"}
  {"do":"shape","name":"east","shape":{"outMs":25,"backMs":25}}

Orders: kill, stop, start, pause, resume, shape, status. Those without a shape may be words: kill east.
The end of the input, or a signal, ends both.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(versions) != 2 {
				return errors.New("a pair takes two versions")
			}
			return inDirectory(&both.dir, func() error { return brokers(both, versions, o).run(cmd.Context(), "pair", std) })
		},
	}
	both.flags(cmd, "brokers", "plain listeners")
	f := cmd.Flags()
	f.StringSliceVar(&versions, "versions", []string{kafka.V39, kafka.V44}, "their Kafka versions")
	f.BoolVar(&o.Authorizer, "authorizer", false, "turn on access control and SASL/PLAIN listeners")
	f.BoolVar(&o.WANUsers, "wan-users", false, "let only the users in on the delayed path; needs --authorizer")
	f.StringToStringVar(&o.Users, "user", nil, "NAME=PASSWORD of a SASL user; may be repeated")
	f.StringToStringVar(&o.Properties, "set", nil, "NAME=VALUE of a server property; may be repeated")
	return cmd
}

// brokers are a pair of them, each with a path to it.
func brokers(both couple, versions []string, o kafka.Options) pair[*site] {
	return pair[*site]{
		couple: both,
		start: func(ctx context.Context, i int, name, dir string, port int) (*site, error) {
			b := o
			b.Name, b.Version, b.Dir, b.Port = name, versions[i], dir, port
			return open(ctx, b)
		},
		close: (*site).close,
		list: func(all []*site, a *answer) {
			for _, s := range all {
				a.Servers = append(a.Servers, describe(s.broker))
			}
		},
		perform: perform,
	}
}

// open starts a broker with a path to it.
func open(ctx context.Context, o kafka.Options) (*site, error) {
	wan, err := proxy.Listen("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o.WAN = wan
	b, err := kafka.Start(ctx, o)
	if err != nil {
		return nil, errors.Join(err, wan.Close())
	}
	return &site{broker: b, wan: wan}, nil
}

func (s *site) close() {
	_ = s.broker.Close()
	_ = s.wan.Close()
}

func perform(ctx context.Context, sites []*site, o order) error {
	for _, s := range sites {
		switch {
		case s.broker.Name() != o.Name:
		case o.Do == "shape":
			return s.reshape(o.Shape)
		default:
			return o.perform(ctx, s.broker)
		}
	}
	return fmt.Errorf("no server is called %q", o.Name)
}

func (s *site) reshape(to *shape) error {
	if to == nil {
		return errors.New("an order to shape needs a shape")
	}
	s.wan.Set(proxy.Shape{
		Out: time.Duration(to.OutMS) * time.Millisecond, Back: time.Duration(to.BackMS) * time.Millisecond,
		Rate: to.Rate, Cut: to.Cut, Frozen: to.Frozen,
	})
	return nil
}
