package cluster

import (
	"context"

	"github.com/understudy-dr/understudy"
)

// Contact looks whether any of the brokers named in the configuration greets us: it accepts a connection, says
// which requests it knows, and takes our login. It says so as soon as one does, and says no as soon as all have
// refused, or when ctx ends: a broker that is frozen accepts connections and says nothing. Where one refuses our login and none
// takes it, the error says that.
func (c *Cluster) Contact(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan error, len(c.cfg.Brokers))
	for _, addr := range c.cfg.Brokers {
		go func() { answers <- c.greet(ctx, addr) }()
	}
	var last error
	greeted := false
	for range c.cfg.Brokers {
		err := <-answers
		switch {
		case err == nil:
			greeted = true
			cancel()
		case !greeted && understudy.KindOf(last) != understudy.KindDenied: // who refuses us is there, whoever else is silent
			last = err
		}
	}
	if greeted {
		return nil
	}
	return last
}

func (c *Cluster) greet(ctx context.Context, addr string) error {
	nc, err := c.Dial(ctx, understudy.Lease{}, addr, nil)
	if err != nil {
		return err
	}
	return nc.Close()
}
