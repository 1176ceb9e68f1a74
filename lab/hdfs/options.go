package hdfs

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
)

// Realm is a Kerberos realm with its key distribution centre, such as a *kerberos.KDC.
type Realm interface {
	// Name is the realm, such as "LAB.TEST".
	Name() string
	// Config is the path of a krb5.conf that leads to the centre.
	Config() string
	// Keytab is the path of a file with the keys of a principal, such as "alice"; the principal is made where
	// it is new.
	Keytab(principal string) (string, error)
}

// Protection is what a Kerberized cluster demands of RPC and of the DataNodes' streams alike.
type Protection string

// The levels of protection.
const (
	Authentication Protection = "authentication"
	Integrity      Protection = "integrity"
	Privacy        Protection = "privacy"
)

// Options says what kind of cluster to start. The zero value of each but Dir is usable.
type Options struct {
	// Name is used in errors, and names the pair of NameNodes for clients.
	Name string
	// Version is Hadoop's, Version or Older; the former when empty.
	Version string
	// Dir holds configuration, data and logs. A directory that has data already is started with it.
	Dir string
	// Port is that of the first NameNode's RPC; a reserved one when 0. All others are reserved ones.
	Port int
	// DataNodes is their number; 2 when 0.
	DataNodes int
	// SeparateDataNodes gives each DataNode a JVM of its own, so that one can be killed.
	SeparateDataNodes bool
	// LastDataNodeApart gives only the last DataNode a JVM of its own, which costs less and leaves the others where they are.
	LastDataNodeApart bool
	// HA starts a pair of NameNodes, each in a JVM of its own, and three JournalNodes in one; with Kerberos too.
	HA bool
	// Kerberos secures the cluster; Protection, Authentication when empty, says how much.
	Kerberos   Realm
	Protection Protection
	// Symlinks lets the NameNode make symbolic links, which Hadoop keeps switched off.
	Symlinks bool
	// Fills lets Fill take the room of the DataNodes.
	Fills bool
	// Properties override those of core-site and hdfs-site, of daemons and clients, by name.
	Properties map[string]string
	// HeapMB is the largest Java heap of each JVM; 320 when 0.
	HeapMB int
	// Optimise lets the JVMs use their optimising compiler: for benchmarks. Starts take longer.
	Optimise bool
	// JVM are further arguments of the Java launcher.
	JVM []string
}

// check refuses what does not fit together, and fills in what was left out.
func (o *Options) check() error {
	o.Name = cmp.Or(o.Name, "hdfs")
	o.Version = cmp.Or(o.Version, Version)
	o.DataNodes = cmp.Or(o.DataNodes, 2)
	o.HeapMB = cmp.Or(o.HeapMB, 320)
	o.Protection = cmp.Or(o.Protection, Authentication)
	switch {
	case o.Version != Version && o.Version != Older:
		return fmt.Errorf("hdfs %s: the lab has no Hadoop %s", o.Name, o.Version)
	case o.Dir == "":
		return fmt.Errorf("hdfs %s: no directory given", o.Name)
	case o.Kerberos == nil && o.Protection != Authentication:
		return errors.New("protection needs Kerberos")
	}
	return nil
}

// principal is that of NameNode and DataNodes; every address of the lab is localhost's.
func (o Options) principal() string { return Superuser + "/localhost@" + o.Kerberos.Name() }

// everywhere are the properties of daemons and clients alike.
func (o Options) everywhere() map[string]string {
	p := map[string]string{
		"dfs.replication": fmt.Sprint(min(o.DataNodes, 2)),
		// With two DataNodes there is none to replace a dead one with.
		"dfs.client.block.write.replace-datanode-on-failure.policy": "NEVER",
		"dfs.checksum.combine.mode":                                 "COMPOSITE_CRC",
		"hadoop.tmp.dir":                                            o.Dir + "/tmp",
	}
	if o.Kerberos != nil {
		maps.Copy(p, map[string]string{
			"hadoop.security.authentication": "kerberos",
			"hadoop.security.authorization":  "true",
			"hadoop.rpc.protection":          string(o.Protection),
			"dfs.data.transfer.protection":   string(o.Protection),
			"dfs.block.access.token.enable":  "true",
			// A person's principal is the user of that name; a service's, without its host.
			"hadoop.security.auth_to_local":                    "RULE:[1:$1@$0](.*@" + o.Kerberos.Name() + ")s/@.*//\nRULE:[2:$1@$0](.*@" + o.Kerberos.Name() + ")s/@.*//\nDEFAULT",
			"dfs.namenode.kerberos.principal":                  o.principal(),
			"dfs.datanode.kerberos.principal":                  o.principal(),
			"dfs.journalnode.kerberos.principal":               o.principal(),
			"hadoop.kerberos.keytab.login.autorenewal.enabled": "true",
		})
	}
	return p
}

// daemons are the properties of every daemon of a small cluster on one machine.
func (o Options) daemons() map[string]string {
	p := map[string]string{
		"dfs.namenode.datanode.registration.ip-hostname-check": "false",
		"dfs.namenode.fs-limits.min-block-size":                "1048576",
		"dfs.namenode.snapshotdiff.listing.limit":              "100",
		"dfs.namenode.safemode.extension":                      "0",
		"dfs.namenode.redundancy.interval.seconds":             "1",
		"dfs.heartbeat.interval":                               "1",
		// A DataNode counts as dead after twice this and ten heartbeats: 20 s, long enough for a crowded machine.
		"dfs.namenode.heartbeat.recheck-interval": "5000",
		"dfs.namenode.checkpoint.check.period":    "3600",
		"dfs.datanode.du.reserved":                "0",
		// The thread that deletes blocks would look for some a hundred times a second.
		"dfs.namenode.block.deletion.unlock.interval.ms": "100",
		// Group lookups start a shell per user; nobody here has groups but by Properties.
		"hadoop.security.group.mapping":              "org.apache.hadoop.security.NullGroupsMapping",
		"hadoop.user.group.static.mapping.overrides": Superuser + "=supergroup",
	}
	if !o.Optimise {
		// Every thread that waits for calls looks about once a second; with ten for each daemon they are a quarter of what idle ones cost.
		p["dfs.namenode.handler.count"], p["dfs.datanode.handler.count"], p["dfs.journalnode.handler.count"] = "4", "2", "2"
	}
	return p
}
