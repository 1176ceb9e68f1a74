package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/lab/kafka"
	"github.com/understudy-dr/understudy/lab/proxy"
)

// order is one line of a pair's standard input.
type order struct {
	// Do is kill, stop, start, pause, resume, shape or status.
	Do   string `json:"do"`
	Name string `json:"name"`
	// Shape is the new condition of the path to the server's WAN address.
	Shape *shape `json:"shape,omitempty"`
}

// shape is a path's condition: delays in milliseconds one way, rate in bytes per second each way.
type shape struct {
	OutMS  int  `json:"outMs"`
	BackMS int  `json:"backMs"`
	Rate   int  `json:"rate"`
	Cut    bool `json:"cut"`
	Frozen bool `json:"frozen"`
}

// answer is one line of a pair's standard output: to an order, or the first one, which lists the servers.
type answer struct {
	Do      string   `json:"do"`
	Name    string   `json:"name,omitempty"`
	Error   string   `json:"error,omitempty"`
	Seconds float64  `json:"seconds"`
	Servers []server `json:"servers"`
}

// pairOptions are the flags of the pair command.
type pairOptions struct {
	dir      string
	names    []string
	versions []string
	// ports are those of the plain listeners; empty means free ones.
	ports  []int
	broker kafka.Options
}

// site is one broker of a pair and the path to it.
type site struct {
	broker *kafka.Broker
	wan    *proxy.Proxy
}

// pairCommand runs two brokers that can be killed and started again by orders on standard input.
func pairCommand(std streams) *cobra.Command {
	o := pairOptions{}
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
			return inDirectory(o.dir, func(dir string) error {
				o.dir = dir
				return runPair(cmd.Context(), o, std)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "", "directory for data and logs (default a temporary one, removed at the end)")
	f.StringSliceVar(&o.names, "names", []string{"east", "west"}, "names of the two brokers")
	f.StringSliceVar(&o.versions, "versions", []string{kafka.V39, kafka.V44}, "their Kafka versions")
	f.IntSliceVar(&o.ports, "ports", nil, "ports of the two plain listeners (default free ones)")
	f.BoolVar(&o.broker.Authorizer, "authorizer", false, "turn on access control and SASL/PLAIN listeners")
	f.BoolVar(&o.broker.WANUsers, "wan-users", false, "let only the users in on the delayed path; needs --authorizer")
	f.StringToStringVar(&o.broker.Users, "user", nil, "NAME=PASSWORD of a SASL user; may be repeated")
	f.StringToStringVar(&o.broker.Properties, "set", nil, "NAME=VALUE of a server property; may be repeated")
	return cmd
}

// runPair starts both, takes orders, and ends both.
func runPair(ctx context.Context, o pairOptions, std streams) error {
	if len(o.names) != 2 || len(o.versions) != 2 || o.names[0] == o.names[1] {
		return errors.New("a pair takes two names that differ and two versions")
	}
	if len(o.ports) != 0 && len(o.ports) != 2 {
		return errors.New("a pair takes two ports, or none")
	}
	start := time.Now()
	sites := make([]*site, len(o.names))
	defer func() {
		for _, s := range sites {
			s.close()
		}
	}()
	group, starting := errgroup.WithContext(ctx)
	for i, name := range o.names {
		b := o.broker
		b.Name, b.Version, b.Dir = name, o.versions[i], filepath.Join(o.dir, name)
		if len(o.ports) > 0 {
			b.Port = o.ports[i]
		}
		group.Go(func() (err error) {
			sites[i], err = open(starting, b)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := printLine(std.out, answer{Do: "pair", Seconds: time.Since(start).Seconds(), Servers: list(sites)}); err != nil {
		return err
	}
	return eachLine(ctx, std.in, func(line []byte) error { return printLine(std.out, obey(ctx, sites, line)) })
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

// close kills the broker: a pair's data are thrown away or were meant to survive it.
func (s *site) close() {
	if s != nil {
		_ = s.broker.Close()
		_ = s.wan.Close()
	}
}

// obey carries out one order; what went wrong is in the answer.
func obey(ctx context.Context, sites []*site, line []byte) answer {
	start := time.Now()
	o, err := parseOrder(line)
	if err == nil {
		err = perform(ctx, sites, o)
	}
	a := answer{Do: o.Do, Name: o.Name, Seconds: time.Since(start).Seconds(), Servers: list(sites)}
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

// parseOrder reads a JSON document, or the words DO NAME as a person types them.
func parseOrder(line []byte) (order, error) {
	var o order
	if bytes.HasPrefix(bytes.TrimSpace(line), []byte("{")) {
		return o, json.Unmarshal(line, &o)
	}
	words := strings.Fields(string(line))
	if len(words) == 0 || len(words) > 2 {
		return o, errors.New("an order is a JSON document, or words such as: kill east")
	}
	o.Do = words[0]
	if len(words) == 2 {
		o.Name = words[1]
	}
	return o, nil
}

func perform(ctx context.Context, sites []*site, o order) error {
	if o.Do == "status" {
		return nil
	}
	var s *site
	for _, each := range sites {
		if each.broker.Name() == o.Name {
			s = each
		}
	}
	if s == nil {
		return fmt.Errorf("no server is called %q", o.Name)
	}
	switch o.Do {
	case "kill":
		return s.broker.Kill()
	case "stop":
		return s.broker.Stop(ctx)
	case "start":
		return s.broker.Restart(ctx)
	case "pause":
		return s.broker.Pause()
	case "resume":
		return s.broker.Resume()
	case "shape":
		return s.reshape(o.Shape)
	}
	return fmt.Errorf("unknown order %q", o.Do)
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

func list(sites []*site) []server {
	all := make([]server, len(sites))
	for i, s := range sites {
		all[i] = describe(s.broker)
	}
	return all
}
