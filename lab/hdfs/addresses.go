package hdfs

import "github.com/understudy-dr/understudy/lab"

// Addr is the host:port of the only, or the first, NameNode's RPC.
func (c *Cluster) Addr() string { return c.Addrs()[0] }

// Addrs are those of all NameNodes.
func (c *Cluster) Addrs() []string {
	return addresses(c.layout.names, func(d *daemon) int { return d.rpc })
}

// HTTP is the host:port of the only, or the first, NameNode's web server: /jmx, /webhdfs/v1.
func (c *Cluster) HTTP() string { return c.HTTPs()[0] }

// HTTPs are those of all NameNodes.
func (c *Cluster) HTTPs() []string {
	return addresses(c.layout.names, func(d *daemon) int { return d.http })
}

// DataAddrs are the stream addresses of the DataNodes.
func (c *Cluster) DataAddrs() []string {
	return addresses(c.layout.data, func(d *daemon) int { return d.data })
}

func addresses(daemons []*daemon, port func(*daemon) int) []string {
	var all []string
	for _, d := range daemons {
		all = append(all, lab.Loopback(port(d)))
	}
	return all
}
