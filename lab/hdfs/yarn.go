package hdfs

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/lab"
)

//go:embed yarn
var yarnSources embed.FS

// The main classes of our Java sources for YARN.
const (
	yarnClass = "understudy.lab.yarn.Yarn"
	copyClass = "understudy.lab.yarn.Copy"
)

// YARNOptions says what kind of YARN to start. The zero value of each but Dir is usable.
type YARNOptions struct {
	// Dir holds configuration, containers and logs.
	Dir string
	// Properties override those of yarn-site and mapred-site, by name.
	Properties map[string]string
	// MemoryMB is what the NodeManager gives to containers; 3072 when 0.
	MemoryMB int
	// Optimise lets the daemons use their optimising compiler: for benchmarks. Containers always do.
	Optimise bool
}

// YARN is a ResourceManager, a NodeManager and a history server for jobs on a cluster's files. Its methods are
// not for concurrent use, except the addresses.
type YARN struct {
	in      install
	jars    string
	opts    YARNOptions
	cluster *Cluster
	kept    *lab.Ports
	nodes   []*Node
}

// yarnPorts are the places of YARN's ports among the reserved ones.
const (
	rmClient = iota
	rmScheduler
	rmTracker
	rmAdmin
	rmWeb
	nmRPC
	nmLocalizer
	nmWeb
	nmShuffle
	hsRPC
	hsAdmin
	hsWeb
	yarnPorts
)

// FetchYARN brings YARN's jars into the cache.
func FetchYARN(ctx context.Context) error {
	_, _, err := yarnInstalled(ctx)
	return err
}

// yarnInstalled finds Java, fetches the jars, compiles what is ours, and returns the directory of the jars too.
func yarnInstalled(ctx context.Context) (install, string, error) {
	jdk, err := lab.Java()
	if err != nil {
		return install{}, "", err
	}
	jars, err := yarnProfile().Fetch(ctx)
	if err != nil {
		return install{}, "", fmt.Errorf("jars of yarn %s: %w", Version, err)
	}
	classpath, err := yarnProfile().Classpath(ctx)
	if err != nil {
		return install{}, "", err
	}
	in, err := install{jdk: jdk, classpath: classpath}.with(ctx, yarnSources, lab.Sources{Name: "yarn-" + Version})
	return in, jars, err
}

// StartYARN starts YARN on a plain cluster and returns when it takes jobs. Close it before the cluster.
func StartYARN(ctx context.Context, c *Cluster, o YARNOptions) (*YARN, error) {
	if o.Dir == "" {
		return nil, errors.New("yarn: no directory given")
	}
	if c.opts.Kerberos != nil {
		return nil, errors.New("the lab has no YARN with Kerberos")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Dir, o.MemoryMB = dir, cmp.Or(o.MemoryMB, 3072)
	in, jars, err := yarnInstalled(ctx)
	if err != nil {
		return nil, err
	}
	kept, err := lab.Reserve(yarnPorts)
	if err != nil {
		return nil, err
	}
	y := &YARN{in: in, jars: jars, opts: o, cluster: c, kept: kept}
	y.nodes = []*Node{y.node("rm", "rm"), y.node("nm", "nm", "hs")}
	if err := y.start(ctx); err != nil {
		return nil, errors.Join(err, y.Close())
	}
	return y, nil
}

// BootYARN starts YARN for a test, in the test's temporary directory, and kills it when the test ends.
func BootYARN(t lab.Test, c *Cluster, o YARNOptions) *YARN {
	o.Dir = cmp.Or(o.Dir, t.TempDir())
	y, err := StartYARN(context.Background(), c, o)
	lab.Check(t, err)
	t.Cleanup(func() {
		if err := y.Close(); err != nil {
			t.Logf("close yarn: %v", err)
		}
		for _, n := range y.nodes {
			if log, err := os.ReadFile(n.Log()); err == nil && t.Failed() {
				t.Logf("log of yarn %s, its end:\n%s", n.Name(), log[max(0, len(log)-4000):])
			}
		}
	})
	return y
}

// node is the JVM for some of YARN's daemons, not yet started.
func (y *YARN) node(name string, daemons ...string) *Node {
	n := &Node{name: name, log: filepath.Join(y.opts.Dir, name+".log"), serving: y.serving}
	n.command = func(bool) (lab.Command, error) {
		if err := y.configure(); err != nil {
			return lab.Command{}, err
		}
		args := append(y.in.args(jvm{heapMB: 256, optimise: y.opts.Optimise}, y.ConfDir()), yarnClass)
		return lab.Command{
			Name: "yarn " + name, Path: y.in.jdk.Java(), Args: append(args, daemons...),
			Env: []string{"HADOOP_USER_NAME=" + Superuser, "JAVA_HOME=" + y.in.jdk.Home}, Dir: y.opts.Dir, Log: n.log,
		}, nil
	}
	return n
}

// start starts both JVMs and waits until the NodeManager is known.
func (y *YARN) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	var group errgroup.Group
	for _, n := range y.nodes {
		group.Go(func() error { return n.start(ctx, false) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return y.serving(ctx)
}

// serving waits until the ResourceManager has a NodeManager.
func (y *YARN) serving(ctx context.Context) error {
	return poll(ctx, y.nodes[0], func() string {
		bean, err := JMX(ctx, y.HTTP(), "Hadoop:service=ResourceManager,name=ClusterMetrics")
		if err != nil {
			return err.Error()
		}
		if live, ok := bean["NumActiveNMs"].(float64); y.nodes[1].awake() && (!ok || live < 1) {
			return "no NodeManager"
		}
		return ""
	})
}

// configure writes the configuration of daemons and jobs.
func (y *YARN) configure() error {
	core, site := make(map[string]string), y.Properties()
	maps.Copy(core, y.cluster.Properties())
	if err := writeSite(y.ConfDir(), core); err != nil {
		return err
	}
	for file, p := range map[string]map[string]string{"yarn-site.xml": site, "mapred-site.xml": site, "capacity-scheduler.xml": queues()} {
		if err := writeProperties(filepath.Join(y.ConfDir(), file), p); err != nil {
			return err
		}
	}
	return nil
}

// ConfDir has all configuration files of daemons, jobs and tools.
func (y *YARN) ConfDir() string { return filepath.Join(y.opts.Dir, "conf") }

// ContainerClasspath is the class path for containers that run Hadoop's own classes.
func (y *YARN) ContainerClasspath() string {
	return y.ConfDir() + string(os.PathListSeparator) + filepath.Join(y.jars, "*")
}

// StagingDir is where jobs keep their files in HDFS.
func (y *YARN) StagingDir() string { return "/tmp/hadoop-yarn/staging" }

func (y *YARN) port(which int) string { return lab.Loopback(y.kept.Numbers[which]) }

// HTTP is the host:port of the ResourceManager's REST API.
func (y *YARN) HTTP() string { return y.port(rmWeb) }

// HistoryHTTP is the host:port of the history server's REST API.
func (y *YARN) HistoryHTTP() string { return y.port(hsWeb) }

// ResourceManager is the JVM of the ResourceManager.
func (y *YARN) ResourceManager() *Node { return y.nodes[0] }

// NodeManager is the JVM of the NodeManager and the history server; its containers are no children of it in the
// sense of a kill.
func (y *YARN) NodeManager() *Node { return y.nodes[1] }

// Close kills both JVMs and what they run, and gives their ports back. The directory stays.
func (y *YARN) Close() error {
	defer y.kept.Release()
	var errs []error
	for _, n := range y.nodes {
		errs = append(errs, n.Kill())
	}
	return errors.Join(append(errs, y.killContainers())...)
}
