package hdfs

import (
	"os"
	"path/filepath"

	"github.com/understudy-dr/understudy/lab"
)

// node is the JVM for some daemons, not yet started.
func (c *Cluster) node(daemons []*daemon) *Node {
	name := daemons[0].name
	n := &Node{name: name, log: filepath.Join(c.opts.Dir, name+".log"), daemons: daemons, serving: c.serving}
	n.command = func(takeOver bool) (lab.Command, error) { return c.command(n, takeOver) }
	return n
}

// command writes the configuration of a JVM's daemons and says how to start it. Their metrics are a second old at most, not ten.
func (c *Cluster) command(n *Node, takeOver bool) (lab.Command, error) {
	var daemons []string
	for _, d := range n.daemons {
		if err := writeSite(c.conf(d), c.layout.site(c.opts, d)); err != nil {
			return lab.Command{}, err
		}
		if err := os.WriteFile(filepath.Join(c.conf(d), "hadoop-metrics2.properties"), []byte("*.period=1\n"), 0o644); err != nil {
			return lab.Command{}, err
		}
		r := d.role
		if r == activeRole && !takeOver {
			r = nameRole
		}
		daemons = append(daemons, string(r)+"="+c.conf(d))
	}
	args := append(c.in.args(c.jvm(), c.visible(n)...), serverClass)
	return lab.Command{
		Name: "hdfs " + c.opts.Name + " " + n.name, Path: c.in.jdk.Java(), Args: append(args, daemons...),
		Env: []string{"HADOOP_USER_NAME=" + Superuser}, Dir: c.opts.Dir, Log: n.log,
	}, nil
}

// jvm is how the daemons' JVMs are started.
func (c *Cluster) jvm() jvm {
	j := jvm{heapMB: c.opts.HeapMB, optimise: c.opts.Optimise, archive: hdfsArchive}
	if c.opts.Symlinks {
		j.more = append(j.more, "-Dlab.symlinks=true")
	}
	if c.opts.Fills {
		j.more = append(j.more, "-Dlab.fills=true")
	}
	if c.opts.Kerberos != nil {
		j.more = append(j.more, "-Djava.security.krb5.conf="+c.opts.Kerberos.Config())
	}
	j.more = append(j.more, c.opts.JVM...)
	return j
}

// visible are the directories on the class path: what reads a configuration by itself finds the first daemon's. A
// class data archive cannot be made beside a directory.
func (c *Cluster) visible(n *Node) []string {
	if c.in.archives == "" {
		return nil
	}
	return []string{c.conf(n.daemons[0])}
}
