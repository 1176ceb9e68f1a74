package hdfs

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"strings"

	"github.com/understudy-dr/understudy/lab"
)

// journals is the number of JournalNodes of a pair, the smallest that survives the loss of one.
const journals = 3

// role is what a daemon does, in the words of our Java server.
type role string

const (
	journalRole role = "journal"
	nameRole    role = "name"
	// activeRole is a NameNode of a pair that takes over as soon as it is up.
	activeRole role = "active"
	dataRole   role = "data"
)

// daemon is one server of HDFS, with ports of its own.
type daemon struct {
	// name is nn1, jn2, dn1 and so on.
	name string
	role role
	// rpc is where clients and NameNodes ask, data a DataNode's stream port, http the web server's.
	rpc, data, http int
}

// layout says which daemons a cluster has and which of them share a JVM.
type layout struct {
	names, journals, data []*daemon
	// processes are in the order of their start.
	processes [][]*daemon
}

// portsPerDaemon is what the greediest daemon takes.
const portsPerDaemon = 3

// daemonsOf counts the daemons of a cluster.
func daemonsOf(o Options) int {
	if o.HA {
		return o.DataNodes + 2 + journals
	}
	return o.DataNodes + 1
}

// lay places the daemons of a cluster on ports.
func lay(o Options, ports []int) layout {
	var l layout
	make := func(prefix string, number int, r role) *daemon {
		d := &daemon{name: fmt.Sprintf("%s%d", prefix, number), role: r, rpc: ports[0], data: ports[1], http: ports[2]}
		ports = ports[portsPerDaemon:]
		return d
	}
	l.names = append(l.names, make("nn", 1, nameRole))
	l.names[0].rpc = cmp.Or(o.Port, l.names[0].rpc)
	if o.HA {
		l.names[0].role = activeRole
		l.names = append(l.names, make("nn", 2, nameRole))
		for i := range journals {
			l.journals = append(l.journals, make("jn", i+1, journalRole))
		}
	}
	for i := range o.DataNodes {
		l.data = append(l.data, make("dn", i+1, dataRole))
	}
	l.processes = l.divide(o)
	return l
}

// divide puts everything into one JVM unless parts are to be killed by themselves.
func (l layout) divide(o Options) [][]*daemon {
	var all [][]*daemon
	if o.HA {
		all = append(all, l.journals)
	}
	for _, d := range l.names {
		all = append(all, []*daemon{d})
	}
	together := len(l.data)
	switch {
	case o.SeparateDataNodes:
		together = 0
	case o.LastDataNodeApart:
		together--
	}
	switch {
	case together == 0:
	case o.HA:
		all = append(all, l.data[:together])
	default:
		all[0] = append(all[0], l.data[:together]...)
	}
	for _, d := range l.data[together:] {
		all = append(all, []*daemon{d})
	}
	return all
}

// clients are the properties by which a client finds the cluster.
func (l layout) clients(o Options) map[string]string {
	p := o.everywhere()
	if !o.HA {
		p["fs.defaultFS"] = "hdfs://" + lab.Loopback(l.names[0].rpc)
		return p
	}
	p["fs.defaultFS"] = "hdfs://" + o.Name
	p["dfs.nameservices"] = o.Name
	p["dfs.ha.namenodes."+o.Name] = "nn1,nn2"
	p["dfs.client.failover.proxy.provider."+o.Name] = "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider"
	// The lab fences by killing; Hadoop wants a method all the same.
	p["dfs.ha.fencing.methods"] = "shell(/bin/true)"
	for _, d := range l.names {
		p["dfs.namenode.rpc-address."+o.Name+"."+d.name] = lab.Loopback(d.rpc)
		p["dfs.namenode.http-address."+o.Name+"."+d.name] = lab.Loopback(d.http)
	}
	return p
}

// site are the properties of one daemon.
func (l layout) site(o Options, d *daemon) map[string]string {
	p := o.daemons()
	maps.Copy(p, l.clients(o))
	home := filepath.Join(o.Dir, "data", d.name)
	switch d.role {
	case journalRole:
		p["dfs.journalnode.rpc-address"] = lab.Loopback(d.rpc)
		p["dfs.journalnode.http-address"] = lab.Loopback(d.http)
		p["dfs.journalnode.edits.dir"] = home
	case dataRole:
		p["dfs.datanode.ipc.address"] = lab.Loopback(d.rpc)
		p["dfs.datanode.address"] = lab.Loopback(d.data)
		p["dfs.datanode.http.address"] = lab.Loopback(d.http)
		p["dfs.datanode.data.dir"] = "file://" + home
		p["dfs.datanode.hostname"] = "127.0.0.1"
	default:
		maps.Copy(p, l.nameSite(o, d, home))
	}
	if o.Kerberos != nil {
		maps.Copy(p, secureSite(o))
	}
	maps.Copy(p, o.Properties)
	return p
}

// nameSite is what a NameNode has of its own.
func (l layout) nameSite(o Options, d *daemon, home string) map[string]string {
	p := map[string]string{"dfs.namenode.name.dir": "file://" + home}
	if !o.HA {
		p["dfs.namenode.rpc-address"] = lab.Loopback(d.rpc)
		p["dfs.namenode.http-address"] = lab.Loopback(d.http)
		return p
	}
	var quorum []string
	for _, j := range l.journals {
		quorum = append(quorum, lab.Loopback(j.rpc))
	}
	p["dfs.ha.namenode.id"] = d.name
	p["dfs.namenode.shared.edits.dir"] = "qjournal://" + strings.Join(quorum, ";") + "/" + o.Name
	// The standby reads the journal as it grows: a failover has less to catch up with.
	p["dfs.ha.tail-edits.period"] = "1"
	p["dfs.ha.log-roll.period"] = "5"
	return p
}

// secureSite is what every daemon of a Kerberized cluster has.
func secureSite(o Options) map[string]string {
	keytab := filepath.Join(o.Dir, "conf", "hdfs.keytab")
	return map[string]string{
		"dfs.namenode.keytab.file":    keytab,
		"dfs.datanode.keytab.file":    keytab,
		"dfs.journalnode.keytab.file": keytab,
		// A DataNode would else demand a port below 1024 or TLS where it speaks no SASL.
		"ignore.secure.ports.for.testing": "true",
	}
}
