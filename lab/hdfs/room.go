package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/understudy-dr/understudy/lab"
)

// Fill takes all room from the DataNodes of a cluster with Options.Fills, or gives it back, and waits until the NameNode knows. DataNodes
// refuse blocks from a moment before that; what they hold stays readable.
func (c *Cluster) Fill(ctx context.Context, full bool) error {
	if !c.opts.Fills {
		return errors.New("the cluster was started without Fills")
	}
	for i := range c.layout.data {
		name := c.DataDir(i+1) + ".full"
		err := os.Remove(name)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if full {
			err = os.WriteFile(name, nil, 0o644)
		}
		if err != nil {
			return err
		}
	}
	d := c.layout.names[0]
	return poll(ctx, c.holder(d.name), func() string {
		state, err := JMX(ctx, lab.Loopback(d.http), "Hadoop:service=NameNode,name=FSNamesystemState")
		if err != nil {
			return err.Error()
		}
		if left, ok := state["CapacityRemaining"].(float64); !ok || (left == 0) != full {
			return fmt.Sprintf("the DataNodes have room for %v bytes", state["CapacityRemaining"])
		}
		return ""
	})
}
