package hdfs

import (
	"context"
	"os"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/lab"
)

// Boot starts a cluster for a test, in the test's temporary directory unless Dir is set. The test is skipped
// with the missing thing's name without Java or Maven; the cluster is killed when the test ends, and the
// ends of its logs are printed when the test failed.
func Boot(t lab.Test, o Options) *Cluster { return BootAll(t, o)[0] }

// BootAll does the same for several clusters side by side and returns them in the order of the options.
func BootAll(t lab.Test, options ...Options) []*Cluster {
	clusters := make([]*Cluster, len(options))
	var group errgroup.Group
	for i, o := range options {
		if o.Dir == "" {
			o.Dir = t.TempDir()
		}
		if o.Name == "" {
			o.Name = "cluster" + strconv.Itoa(i+1)
		}
		group.Go(func() (err error) {
			clusters[i], err = Start(context.Background(), o)
			return err
		})
	}
	err := group.Wait()
	for _, c := range clusters {
		if c != nil {
			t.Cleanup(func() { closeAfter(t, c) })
		}
	}
	lab.Check(t, err)
	return clusters
}

// closeAfter kills the cluster and shows the ends of its logs when the test failed.
func closeAfter(t lab.Test, c *Cluster) {
	if err := c.Close(); err != nil {
		t.Logf("close %s: %v", c.Name(), err)
	}
	for _, n := range c.Nodes() {
		if log, err := os.ReadFile(n.Log()); err == nil && t.Failed() {
			t.Logf("log of %s %s, its end:\n%s", c.Name(), n.Name(), log[max(0, len(log)-4000):])
		}
	}
}
