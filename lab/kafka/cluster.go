package kafka

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/lab"
)

// Cluster is several brokers of one Kafka cluster, each a process of its own that can be killed and started again.
type Cluster struct {
	// Brokers are in the order of their node ids, which begin at 1.
	Brokers []*Broker
}

// StartCluster starts the Brokers of one cluster, side by side, and returns when all accept requests. The options are
// those of each; names and directories get the node's number behind them. All brokers are controllers too, but the
// last one of an even number: the others go on when any one of them was killed, of two only the first does without the
// other. It takes neither Port nor WAN. Close it at the end.
func StartCluster(ctx context.Context, o Options) (*Cluster, error) {
	if o.Brokers < 2 || o.Port != 0 || o.WAN != nil {
		return nil, fmt.Errorf("kafka %s: a cluster has two brokers or more, on ports of its choice and without WAN", o.Name)
	}
	c := &Cluster{}
	for i := range o.Brokers {
		one := o
		one.Name, one.Dir = o.Name+"-"+strconv.Itoa(i+1), filepath.Join(o.Dir, strconv.Itoa(i+1))
		b, err := prepare(ctx, one)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		o.ClusterID = b.ClusterID()
		c.Brokers = append(c.Brokers, b)
	}
	c.seat()
	group, starting := errgroup.WithContext(ctx)
	for _, b := range c.Brokers {
		group.Go(func() error { return b.start(starting) })
	}
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// seat tells each broker its place, and who the controllers are.
func (c *Cluster) seat() {
	controllers := len(c.Brokers) - (len(c.Brokers)+1)%2
	var voters []string
	for i, b := range c.Brokers[:controllers] {
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, lab.Loopback(b.ports.controller)))
	}
	for i, b := range c.Brokers {
		b.opts.place = place{node: i + 1, voters: strings.Join(voters, ","), follows: i >= controllers}
	}
}

// Addrs are the plain listeners' host:port.
func (c *Cluster) Addrs() []string {
	var all []string
	for _, b := range c.Brokers {
		all = append(all, b.Addr())
	}
	return all
}

// Node is the broker with a node id; nil when there is none.
func (c *Cluster) Node(id int32) *Broker {
	if id < 1 || int(id) > len(c.Brokers) {
		return nil
	}
	return c.Brokers[id-1]
}

// Close kills all brokers and gives their ports back. The directories stay.
func (c *Cluster) Close() error {
	var all error
	for _, b := range c.Brokers {
		all = errors.Join(all, b.Close())
	}
	return all
}

// BootClusters starts clusters for a test, side by side, as BootAll does brokers.
func BootClusters(t lab.Test, options ...Options) []*Cluster {
	all := make([]*Cluster, len(options))
	var group errgroup.Group
	for i, o := range options {
		if o.Dir == "" {
			o.Dir = t.TempDir()
		}
		if o.Name == "" {
			o.Name = "cluster " + strconv.Itoa(i+1)
		}
		group.Go(func() (err error) {
			all[i], err = StartCluster(context.Background(), o)
			return err
		})
	}
	err := group.Wait()
	for _, c := range all {
		if c == nil {
			continue
		}
		for _, b := range c.Brokers {
			t.Cleanup(func() { closeAfter(t, b) })
		}
	}
	lab.Check(t, err)
	return all
}
