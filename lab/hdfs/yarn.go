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
	"strings"

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
	// HA starts a pair of ResourceManagers with a common memory of what runs. The first one is active.
	HA bool
	// Kerberos starts nothing but a ResourceManager that wants it; it has no cluster and runs no jobs.
	Kerberos Realm
	// MemoryMB is what the NodeManager gives to containers; 3072 when 0.
	MemoryMB int
	// Optimise lets daemons and containers use their optimising compiler: for benchmarks.
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
	// active is the ResourceManager that was made active last.
	active int
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
	// The second ResourceManager's are as far from the first one's as this.
	secondManager
	yarnPorts = secondManager + 5
)

// javaOptions is where every Java looks for options.
const javaOptions = "JAVA_TOOL_OPTIONS"

// FetchYARN brings YARN's jars and its class data archive into the cache.
func FetchYARN(ctx context.Context) error {
	in, jars, err := yarnInstalled(ctx)
	if err == nil {
		_, err = in.archivedYARN(ctx, jars)
	}
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

// StartYARN starts YARN on a plain cluster and returns when it takes jobs. The first start on a machine fetches the jars and makes the
// archive, which takes two minutes. Close it before the cluster. With Kerberos the cluster is nil.
func StartYARN(ctx context.Context, c *Cluster, o YARNOptions) (*YARN, error) {
	if o.Dir == "" {
		return nil, errors.New("yarn: no directory given")
	}
	switch {
	case o.Kerberos != nil && (c != nil || o.HA):
		return nil, errors.New("with Kerberos the lab has a ResourceManager alone")
	case o.Kerberos == nil && c.opts.Kerberos != nil:
		return nil, errors.New("the lab has no YARN with Kerberos that runs jobs")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	in, jars, err := yarnInstalled(ctx)
	if err != nil {
		return nil, err
	}
	if in, err = in.archivedYARN(ctx, jars); err != nil {
		return nil, err
	}
	return startYARN(ctx, in, jars, c, o)
}

func startYARN(ctx context.Context, in install, jars string, c *Cluster, o YARNOptions) (*YARN, error) {
	o.MemoryMB = cmp.Or(o.MemoryMB, 3072)
	kept, err := lab.Reserve(yarnPorts)
	if err != nil {
		return nil, err
	}
	y := &YARN{in: in, jars: jars, opts: o, cluster: c, kept: kept}
	switch {
	case o.Kerberos != nil:
		y.nodes = []*Node{y.node("rm", "rm")}
	case o.HA:
		y.nodes = []*Node{y.node("rm1", "rm"), y.node("rm2", "rm"), y.node("nm", "nm", "hs")}
	default:
		y.nodes = []*Node{y.node("rm", "rm"), y.node("nm", "nm", "hs")}
	}
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
	if y.opts.HA && daemons[0] == "rm" {
		// It comes back on standby, and serves when it is made active.
		n.serving = func(context.Context) error { return nil }
	}
	n.command = func(bool) (lab.Command, error) {
		if err := y.configure(); err != nil {
			return lab.Command{}, err
		}
		j := jvm{heapMB: 256, optimise: y.opts.Optimise, archive: yarnArchive}
		if y.opts.HA && daemons[0] == "rm" {
			j.more = append(j.more, "-Dlab.rm="+name, "-Dlab.active="+y.activeDir())
		}
		if k := y.opts.Kerberos; k != nil {
			j.more = append(j.more, "-Djava.security.krb5.conf="+k.Config())
		}
		args := append(y.in.args(j, y.ConfDir()), yarnClass)
		return lab.Command{
			Name: "yarn " + name, Path: y.in.jdk.Java(), Args: append(args, daemons...),
			Env: y.environment(), Dir: y.opts.Dir, Log: n.log,
		}, nil
	}
	return n
}

// environment is that of the daemons, from which containers take Java and its options.
func (y *YARN) environment() []string {
	env := []string{"HADOOP_USER_NAME=" + Superuser}
	if y.opts.Optimise {
		return append(env, "JAVA_HOME="+y.in.jdk.Home)
	}
	// Containers live for seconds: compiling well costs them more than it gives.
	options := javaOptions + "=-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData"
	if y.in.lists != "" {
		options += " " + y.in.listed()
	}
	return append(env, options, "JAVA_HOME="+y.containerHome())
}

// containerHome is the home of a Java for containers.
func (y *YARN) containerHome() string { return filepath.Join(y.opts.Dir, "java") }

// containerJava makes that Java: one that starts with the class data archive. What no archive can have on its class path
// goes behind what it has: a container's own directory and the configuration.
func (y *YARN) containerJava() error {
	bin := filepath.Join(y.containerHome(), "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	script := fmt.Sprintf(`#!/bin/sh
ours='%s'
case "$CLASSPATH" in
*"$ours"*)
	before="${CLASSPATH%%%%"$ours"*}" after="${CLASSPATH#*"$ours"}"
	CLASSPATH='%s:%s':"$before$after"
	set -- %s "$@"
	;;
esac
exec '%s' "$@"
`, y.ContainerClasspath(), y.in.classpath, y.ConfDir(), strings.Join(y.in.shared(yarnArchive), " "), y.in.jdk.Java())
	return os.WriteFile(filepath.Join(bin, "java"), []byte(script), 0o755)
}

// start starts both JVMs and waits until the NodeManager is known.
func (y *YARN) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := y.containerJava(); err != nil {
		return err
	}
	var group errgroup.Group
	for i, n := range y.nodes {
		group.Go(func() error {
			err := n.start(ctx, false)
			if err == nil && y.opts.HA && i == 0 {
				// The NodeManager does not come up before one is active.
				err = y.Activate(ctx, 0)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil || y.opts.Kerberos != nil {
		return err
	}
	return y.serving(ctx)
}

// serving waits until the active ResourceManager has a NodeManager.
func (y *YARN) serving(ctx context.Context) error {
	active := y.active
	return poll(ctx, y.nodes[active], func() string {
		bean, err := JMX(ctx, y.HTTPs()[active], "Hadoop:service=ResourceManager,name=ClusterMetrics")
		if err != nil {
			return err.Error()
		}
		if live, ok := bean["NumActiveNMs"].(float64); y.NodeManager().awake() && (!ok || live < 1) {
			return "no NodeManager"
		}
		return ""
	})
}

// configure writes the configuration of daemons and jobs.
func (y *YARN) configure() error {
	core, site := make(map[string]string), y.Properties()
	if y.opts.Kerberos != nil {
		secure, err := y.secure()
		if err != nil {
			return err
		}
		// What Hadoop says by default of YARN's own properties goes before core-site.
		maps.Copy(core, secure)
		maps.Copy(site, secure)
	} else {
		maps.Copy(core, y.cluster.Properties())
	}
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

// HTTPs are those of all ResourceManagers, in their order.
func (y *YARN) HTTPs() []string {
	if y.opts.HA {
		return []string{y.HTTP(), y.port(secondManager + rmWeb)}
	}
	return []string{y.HTTP()}
}

// activeDir has a file for each ResourceManager of a pair that is to be active.
func (y *YARN) activeDir() string { return filepath.Join(y.opts.Dir, "active") }

// Activate makes one of a pair of ResourceManagers active, which is not active yet, and returns when it takes requests. The other one must
// be dead.
func (y *YARN) Activate(ctx context.Context, which int) error {
	n := y.nodes[which]
	if err := os.RemoveAll(y.activeDir()); err != nil {
		return err
	}
	if err := os.MkdirAll(y.activeDir(), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(y.activeDir(), n.Name()), nil, 0o600); err != nil {
		return err
	}
	y.active = which
	return n.said(ctx, "ACTIVE")
}

// Forget removes what a pair of ResourceManagers remembers together of what runs.
func (y *YARN) Forget() error { return os.RemoveAll(filepath.Join(y.opts.Dir, "memory")) }

// Manager is the JVM of one ResourceManager of a pair.
func (y *YARN) Manager(which int) *Node { return y.nodes[which] }

// HistoryHTTP is the host:port of the history server's REST API.
func (y *YARN) HistoryHTTP() string { return y.port(hsWeb) }

// ResourceManager is the JVM of the ResourceManager, or of the first one of a pair.
func (y *YARN) ResourceManager() *Node { return y.nodes[0] }

// NodeManager is the JVM of the NodeManager and the history server; its containers are no children of it in the
// sense of a kill.
func (y *YARN) NodeManager() *Node { return y.nodes[len(y.nodes)-1] }

// Close kills both JVMs and what they run, and gives their ports back. The directory stays.
func (y *YARN) Close() error {
	defer y.kept.Release()
	var errs []error
	for _, n := range y.nodes {
		errs = append(errs, n.Kill())
	}
	return errors.Join(append(errs, y.killContainers())...)
}
