package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

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
func hdfsFlags(cmd *cobra.Command, o *hdfs.Options) {
	f := cmd.Flags()
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
			return inDirectory(&o.Dir, func() error {
				c, err := hdfs.Start(cmd.Context(), o)
				if err != nil {
					return err
				}
				return runOne(cmd.Context(), std, c, describeFS(c))
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Name, "name", "hdfs", "name of the cluster")
	dirFlag(cmd, &o.Dir)
	f.IntVar(&o.Port, "port", 0, "port of the NameNode's RPC (default a free one)")
	hdfsFlags(cmd, &o)
	return cmd
}

// hdfsPairCommand runs two clusters that can be killed and started again by orders on standard input.
func hdfsPairCommand(std streams) *cobra.Command {
	var both couple
	var o hdfs.Options
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
			return inDirectory(&both.dir, func() error { return clusters(both, o).run(cmd.Context(), "hdfs-pair", std) })
		},
	}
	both.flags(cmd, "clusters", "NameNodes")
	hdfsFlags(cmd, &o)
	return cmd
}

// clusters are a pair of them.
func clusters(both couple, o hdfs.Options) pair[*hdfs.Cluster] {
	return pair[*hdfs.Cluster]{
		couple: both,
		start: func(ctx context.Context, _ int, name, dir string, port int) (*hdfs.Cluster, error) {
			each := o
			each.Name, each.Dir, each.Port = name, dir, port
			return hdfs.Start(ctx, each)
		},
		close: func(c *hdfs.Cluster) { _ = c.Close() },
		list: func(all []*hdfs.Cluster, a *answer) {
			for _, c := range all {
				a.Clusters = append(a.Clusters, describeFS(c))
			}
		},
		perform: func(ctx context.Context, all []*hdfs.Cluster, o order) error {
			m := named(all, o.Name)
			if m == nil {
				return fmt.Errorf("no server is called %q", o.Name)
			}
			return o.perform(ctx, m)
		},
	}
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
