// Package lab starts, stops, kills, pauses and probes real servers for tests, demonstrations and
// benchmarks. It must not know the product: it imports none of it, and no part of the product imports it.
//
// One recipe per server lives in a folder beside this file, with pinned versions:
//
//	lab/kafka     Apache Kafka 3.9.1 and 4.4.0, MirrorMaker 2, and Kafka's own Java client
//	lab/hdfs      Apache Hadoop 3.4.1: HDFS plain, as a pair of NameNodes or with Kerberos, and Hadoop's own Java client
//	lab/kerberos  a key distribution centre
//	lab/versitygw an S3 server, Versity S3 Gateway 1.8.0, built from its Go module
//	lab/azurite   Azurite 3.37.0, Microsoft's emulator of Azure Blob Storage, with its own Node, from the npm registry
//	lab/adls      a small server of ours for the DFS endpoint of ADLS Gen2, and Hadoop's ABFS driver 3.4.1 as its judge
//	lab/etcd      etcd, in this process or in one of its own that can be killed and paused
//	lab/proxy     a TCP path between two sites that can be delayed, narrowed, frozen and cut
//
// A test writes
//
//	b := kafka.Boot(t, kafka.Options{Version: kafka.V44, Name: "east"})   // skips without Java or Maven, cleans up
//	b.Addr()                    // 127.0.0.1:port
//	b.Kill(); b.Restart(ctx)    // same data, same port
//	b.Pause(); b.Resume()
//
//	c := kafka.OpenClient(t, kafka.V44)             // one JVM with Kafka's own client, for any number of requests
//	p, _ := c.Producer(ctx, b.Access(), map[string]string{"transactional.id": "tx"})
//	p.Begin(ctx); p.Send(ctx, kafka.Out{Topic: "orders", Value: v}); p.Commit(ctx)
//	east, _ := c.Dump(ctx, b.Access(), kafka.ReadCommitted, "orders")
//	east.Diff(west, 10)                             // nothing: identical, record by record
//
// Jars, servers built from Go modules, compiled helpers and class data archives are kept in the cache directory (see CacheDir), filled
// once per machine under file locks, so that several test binaries may start at the same time. Every
// server listens on loopback only, on ports that are reserved against other tests of the same user, and dies with the
// process that started it, also when that one is killed.
//
// The environment: UNDERSTUDY_LAB_CACHE names the cache directory; JAVA_HOME the JDK;
// UNDERSTUDY_LAB=required turns a skip for a missing JDK, Maven, npm, Kerberos or right to mount into a failure.
package lab
