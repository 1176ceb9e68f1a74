package cluster

import (
	"context"
	"net"
)

// Contact looks whether any of the brokers named in the configuration accepts a connection. It says so as soon
// as one does, and says no as soon as all refuse, or when ctx ends.
func (c *Cluster) Contact(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan error, len(c.cfg.Brokers))
	for _, addr := range c.cfg.Brokers {
		go func() {
			d := net.Dialer{Timeout: dialTimeout}
			conn, err := d.DialContext(ctx, "tcp", addr)
			if err == nil {
				err = conn.Close()
			}
			answers <- err
		}()
	}
	var last error
	open := false
	for range c.cfg.Brokers {
		err := <-answers
		if err == nil {
			open = true
			cancel()
		} else if !open {
			last = err
		}
	}
	if open {
		return nil
	}
	return c.unreachable("kafka.contact", last)
}
