// Package hdfs runs Apache Hadoop for tests, demonstrations and benchmarks: HDFS clusters on loopback, plain, as
// a pair of NameNodes or with Kerberos, YARN on top of one, with one or two ResourceManagers, and Hadoop's own Java client
// as the judge of what a cluster holds. It must not know the product, nor any Go client of HDFS.
//
//	c, err := hdfs.Start(ctx, hdfs.Options{Name: "east", Dir: dir})  // NameNode and two DataNodes in one JVM
//	c := hdfs.Boot(t, hdfs.Options{Name: "east"})                    // in tests
//	c.Addr()                              // host:port of the NameNode's RPC; c.HTTP() its web server, with /jmx
//	c.Kill(); c.Restart(ctx)              // kill -9 of everything; same data, same ports
//	c.DataNode(1).Kill()                  // of one DataNode, with SeparateDataNodes
//
//	j := hdfs.OpenClient(t)               // one JVM with Hadoop's client, for any number of clusters
//	j.Put(ctx, c.Access(), hdfs.File{Path: "/a/b", Data: b})
//	east, _ := j.Dump(ctx, c.Access(), "/a")   // every path with all attributes and its COMPOSITE_CRC
//	east.Diff(west, 10)                        // nothing: the same tree
//
// The super user is Superuser whoever runs the lab. Blocks may be as small as 1 MiB and a page of a snapshot
// difference holds 100 entries, so that small data cross both borders.
package hdfs
