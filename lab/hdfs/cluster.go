package hdfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/lab"
)

// Cluster is HDFS on loopback. Its methods are not for concurrent use, except the addresses.
type Cluster struct {
	in     install
	opts   Options
	kept   *lab.Ports
	layout layout
	nodes  []*Node
}

// Start starts a cluster and returns when it can be written to. The first start on a machine fetches the jars
// and makes the archives, which takes a minute. Close it at the end.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	in, err := installed(ctx, o.Version)
	if err != nil {
		return nil, err
	}
	if in, err = in.archived(ctx); err != nil {
		return nil, err
	}
	return start(ctx, in, o)
}

func start(ctx context.Context, in install, o Options) (*Cluster, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	kept, err := lab.Reserve(portsPerDaemon * daemonsOf(o))
	if err != nil {
		return nil, err
	}
	c := &Cluster{in: in, opts: o, kept: kept, layout: lay(o, kept.Numbers)}
	for _, daemons := range c.layout.processes {
		c.nodes = append(c.nodes, c.node(daemons))
	}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// start starts all JVMs and waits until the cluster serves.
func (c *Cluster) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := c.prepare(); err != nil {
		return err
	}
	if err := c.startNames(ctx); err != nil {
		return err
	}
	var group errgroup.Group
	for _, n := range c.nodes {
		if n.Running() {
			continue
		}
		group.Go(func() error { return n.start(ctx, false) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return c.serving(ctx)
}

// prepare writes what clients need, and the keys of a secure cluster.
func (c *Cluster) prepare() error {
	if err := os.MkdirAll(filepath.Join(c.opts.Dir, "tmp"), 0o755); err != nil {
		return err
	}
	if c.opts.Kerberos != nil {
		keytab, err := c.opts.Kerberos.Keytab(Superuser + "/localhost")
		if err != nil {
			return err
		}
		b, err := os.ReadFile(keytab)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(c.opts.Dir, "conf"), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(c.opts.Dir, "conf", "hdfs.keytab"), b, 0o600); err != nil {
			return err
		}
	}
	return writeSite(c.ClientDir(), c.Properties())
}

// startNames starts the first NameNode, after the JournalNodes that it needs, and lets the second of a pair
// begin with what the first has formatted.
func (c *Cluster) startNames(ctx context.Context) error {
	if !c.opts.HA {
		return c.NameNode(1).start(ctx, false)
	}
	if err := c.nodes[0].start(ctx, false); err != nil {
		return err
	}
	first, second := c.home("nn1"), c.home("nn2")
	if _, err := os.Stat(filepath.Join(second, "current")); err == nil {
		return c.NameNode(1).start(ctx, true)
	}
	one := c.NameNode(1)
	if err := one.launch(true); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(first, "current", "VERSION")); err != nil {
		if err := one.said(ctx, "FORMATTED"); err != nil {
			return err
		}
	}
	if err := one.ready(ctx); err != nil {
		return err
	}
	return copyImage(filepath.Join(first, "current"), filepath.Join(second, "current"))
}

// copyImage brings a fresh NameNode what bootstrapStandby would: the image and the names of the file system,
// not the edits, which it reads from the JournalNodes.
func copyImage(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "edits") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// conf is a daemon's configuration directory, home its data's.
func (c *Cluster) conf(d *daemon) string { return filepath.Join(c.opts.Dir, "conf", d.name) }

func (c *Cluster) home(name string) string { return filepath.Join(c.opts.Dir, "data", name) }

// Name is the name given in the options.
func (c *Cluster) Name() string { return c.opts.Name }

// Nodes are the JVMs, in the order of their start.
func (c *Cluster) Nodes() []*Node { return c.nodes }

// NameNode is the JVM of a NameNode, counted from 1.
func (c *Cluster) NameNode(number int) *Node { return c.holder(fmt.Sprintf("nn%d", number)) }

// DataNode is the JVM of a DataNode, counted from 1; it holds other daemons too without SeparateDataNodes.
func (c *Cluster) DataNode(number int) *Node { return c.holder(fmt.Sprintf("dn%d", number)) }

// JournalNodes is the JVM of the JournalNodes of a pair.
func (c *Cluster) JournalNodes() *Node { return c.holder("jn1") }

// holder is the JVM that holds a daemon, or nil.
func (c *Cluster) holder(name string) *Node {
	for _, n := range c.nodes {
		for _, d := range n.daemons {
			if d.name == name {
				return n
			}
		}
	}
	return nil
}

// DataDir is where a DataNode, counted from 1, keeps its blocks: for a test that flips a byte.
func (c *Cluster) DataDir(number int) string { return c.home(fmt.Sprintf("dn%d", number)) }

// Properties are those of a client of the cluster.
func (c *Cluster) Properties() map[string]string {
	p := c.layout.clients(c.opts)
	for name, value := range c.opts.Properties {
		p[name] = value
	}
	return p
}

// ClientDir has core-site.xml and hdfs-site.xml for Hadoop's own tools.
func (c *Cluster) ClientDir() string { return filepath.Join(c.opts.Dir, "conf", "client") }

// Set changes a property for the next Restart.
func (c *Cluster) Set(name, value string) {
	changed := map[string]string{name: value}
	for k, v := range c.opts.Properties {
		if k != name {
			changed[k] = v
		}
	}
	c.opts.Properties = changed
}

// Running says whether all JVMs live; paused ones do.
func (c *Cluster) Running() bool {
	for _, n := range c.nodes {
		if !n.Running() {
			return false
		}
	}
	return true
}

// each does something with all JVMs, side by side.
func (c *Cluster) each(do func(*Node) error) error {
	var group errgroup.Group
	for _, n := range c.nodes {
		group.Go(func() error { return do(n) })
	}
	return group.Wait()
}

// Stop ends all JVMs in good order; Restart may follow.
func (c *Cluster) Stop(ctx context.Context) error {
	return c.each(func(n *Node) error { return n.Stop(ctx) })
}

// Kill ends all JVMs as a power cut would (kill -9); Restart may follow.
func (c *Cluster) Kill() error { return c.each((*Node).Kill) }

// Restart starts the whole cluster again with the same data and ports; running JVMs are stopped first. The
// first NameNode of a pair becomes the active one.
func (c *Cluster) Restart(ctx context.Context) error {
	if err := c.Stop(ctx); err != nil {
		return err
	}
	return c.start(ctx)
}

// Pause freezes all JVMs with their connections open.
func (c *Cluster) Pause() error { return c.each((*Node).Pause) }

// Resume lets paused JVMs go on.
func (c *Cluster) Resume() error { return c.each((*Node).Resume) }

// Close kills all JVMs and gives their ports back. The directory stays.
func (c *Cluster) Close() error {
	defer c.kept.Release()
	return c.Kill()
}
