package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/lab/hdfs"
)

// fileSystem is a running HDFS as others see it.
type fileSystem struct {
	Name string `json:"name"`
	// Addrs are the host:port of the NameNodes' RPC, HTTP those of their web servers, DataNodes the stream addresses.
	Addrs     []string `json:"addrs"`
	HTTP      []string `json:"http"`
	DataNodes []string `json:"dataNodes"`
	// User is the super user; Conf has configuration files for Hadoop's own tools.
	User    string    `json:"user"`
	Conf    string    `json:"conf"`
	Running bool      `json:"running"`
	JVMs    []process `json:"jvms"`
}

// process is one JVM of it.
type process struct {
	Name    string `json:"name"`
	PID     int    `json:"pid"`
	Running bool   `json:"running"`
	Log     string `json:"log"`
}

func describeFS(c *hdfs.Cluster) fileSystem {
	f := fileSystem{
		Name: c.Name(), Addrs: c.Addrs(), HTTP: c.HTTPs(), DataNodes: c.DataAddrs(),
		User: hdfs.Superuser, Conf: c.ClientDir(), Running: c.Running(),
	}
	for _, n := range c.Nodes() {
		f.JVMs = append(f.JVMs, process{Name: n.Name(), PID: n.PID(), Running: n.Running(), Log: n.Log()})
	}
	return f
}

// hdfsFlags are what both commands offer.
func hdfsFlags(f *pflag.FlagSet, o *hdfs.Options) {
	f.IntVar(&o.DataNodes, "datanodes", 2, "number of DataNodes")
	f.BoolVar(&o.SeparateDataNodes, "separate-datanodes", false, "give each DataNode a JVM of its own")
	f.BoolVar(&o.HA, "ha", false, "start a pair of NameNodes with three JournalNodes")
	f.StringToStringVar(&o.Properties, "set", nil, "NAME=VALUE of a property; may be repeated")
	f.IntVar(&o.HeapMB, "heap-mb", 0, "largest Java heap of each JVM in MiB (default 320)")
	f.BoolVar(&o.Optimise, "optimise", false, "use the JVM's optimising compiler, for benchmarks")
}

// hdfsCommand runs one cluster until a signal or the end of standard input.
func hdfsCommand(std streams) *cobra.Command {
	o := hdfs.Options{}
	cmd := &cobra.Command{
		Use:   "hdfs",
		Short: "Run one HDFS on loopback until a signal or the end of standard input",
		Long: "Run one HDFS on loopback. When it is ready, one JSON line on standard output says where.\n" +
			"It runs until a signal or until standard input ends.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return inDirectory(o.Dir, func(dir string) error {
				o.Dir = dir
				return runHDFS(cmd.Context(), o, std)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Name, "name", "hdfs", "name of the cluster")
	f.StringVar(&o.Dir, "dir", "", "directory for data and logs (default a temporary one, removed at the end)")
	f.IntVar(&o.Port, "port", 0, "port of the NameNode's RPC (default a free one)")
	hdfsFlags(f, &o)
	return cmd
}

func runHDFS(ctx context.Context, o hdfs.Options, std streams) error {
	c, err := hdfs.Start(ctx, o)
	if err != nil {
		return err
	}
	if err := printLine(std.out, describeFS(c)); err != nil {
		return errors.Join(err, c.Close())
	}
	err = eachLine(ctx, std.in, func([]byte) error { return nil })
	// The context has ended when a signal came; the cluster's end is bounded by itself.
	return errors.Join(err, c.Stop(context.WithoutCancel(ctx)), c.Close())
}

// hdfsAnswer is one line of a pair's standard output: to an order, or the first one.
type hdfsAnswer struct {
	Do       string       `json:"do"`
	Name     string       `json:"name,omitempty"`
	Error    string       `json:"error,omitempty"`
	Seconds  float64      `json:"seconds"`
	Clusters []fileSystem `json:"clusters"`
}

// hdfsPairOptions are the flags of the pair.
type hdfsPairOptions struct {
	dir   string
	names []string
	// ports are those of the NameNodes; empty means free ones.
	ports   []int
	cluster hdfs.Options
}

// hdfsPairCommand runs two clusters that can be killed and started again by orders on standard input.
func hdfsPairCommand(std streams) *cobra.Command {
	o := hdfsPairOptions{}
	cmd := &cobra.Command{
		Use:   "hdfs-pair",
		Short: "Run two HDFS that take orders on standard input",
		Long: `Run two HDFS on loopback. When both are ready, one JSON line on standard output lists them. Each further
line answers one order on standard input, such as

  {"do":"kill","name":"east"}
  kill east/dn1

Orders: kill, stop, start, pause, resume, status. A name is a cluster's, or with a slash one of its JVMs'.
The end of the input, or a signal, ends both.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return inDirectory(o.dir, func(dir string) error {
				o.dir = dir
				return runHDFSPair(cmd.Context(), o, std)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "", "directory for data and logs (default a temporary one, removed at the end)")
	f.StringSliceVar(&o.names, "names", []string{"east", "west"}, "names of the two clusters")
	f.IntSliceVar(&o.ports, "ports", nil, "ports of the two NameNodes (default free ones)")
	hdfsFlags(f, &o.cluster)
	return cmd
}

// runHDFSPair starts both, takes orders, and ends both.
func runHDFSPair(ctx context.Context, o hdfsPairOptions, std streams) error {
	if len(o.names) != 2 || o.names[0] == o.names[1] {
		return errors.New("a pair takes two names that differ")
	}
	if len(o.ports) != 0 && len(o.ports) != 2 {
		return errors.New("a pair takes two ports, or none")
	}
	start := time.Now()
	clusters := make([]*hdfs.Cluster, len(o.names))
	defer func() {
		for _, c := range clusters {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	group, starting := errgroup.WithContext(ctx)
	for i, name := range o.names {
		each := o.cluster
		each.Name, each.Dir = name, filepath.Join(o.dir, name)
		if len(o.ports) > 0 {
			each.Port = o.ports[i]
		}
		group.Go(func() (err error) {
			clusters[i], err = hdfs.Start(starting, each)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	first := hdfsAnswer{Do: "hdfs-pair", Seconds: time.Since(start).Seconds(), Clusters: listFS(clusters)}
	if err := printLine(std.out, first); err != nil {
		return err
	}
	return eachLine(ctx, std.in, func(line []byte) error { return printLine(std.out, obeyFS(ctx, clusters, line)) })
}

func listFS(clusters []*hdfs.Cluster) []fileSystem {
	all := make([]fileSystem, len(clusters))
	for i, c := range clusters {
		all[i] = describeFS(c)
	}
	return all
}

// obeyFS carries out one order; what went wrong is in the answer.
func obeyFS(ctx context.Context, clusters []*hdfs.Cluster, line []byte) hdfsAnswer {
	start := time.Now()
	o, err := parseOrder(line)
	if err == nil && o.Do != "status" {
		err = performFS(ctx, clusters, o)
	}
	a := hdfsAnswer{Do: o.Do, Name: o.Name, Seconds: time.Since(start).Seconds(), Clusters: listFS(clusters)}
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

// machine is what orders are about: a cluster, or one of its JVMs.
type machine interface {
	Kill() error
	Stop(ctx context.Context) error
	Restart(ctx context.Context) error
	Pause() error
	Resume() error
}

func performFS(ctx context.Context, clusters []*hdfs.Cluster, o order) error {
	m := named(clusters, o.Name)
	if m == nil {
		return fmt.Errorf("no server is called %q", o.Name)
	}
	switch o.Do {
	case "kill":
		return m.Kill()
	case "stop":
		return m.Stop(ctx)
	case "start":
		return m.Restart(ctx)
	case "pause":
		return m.Pause()
	case "resume":
		return m.Resume()
	}
	return fmt.Errorf("unknown order %q", o.Do)
}

// named finds a cluster, or a JVM by CLUSTER/JVM; nil when there is none.
func named(clusters []*hdfs.Cluster, name string) machine {
	cluster, jvm, one := strings.Cut(name, "/")
	for _, c := range clusters {
		if c.Name() != cluster {
			continue
		}
		if !one {
			return c
		}
		for _, n := range c.Nodes() {
			if n.Name() == jvm {
				return n
			}
		}
	}
	return nil
}
