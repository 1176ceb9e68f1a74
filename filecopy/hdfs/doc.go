// Package hdfs is the store of a directory tree in HDFS. It must not know who copies, nor any other store; filecopy is the
// contract, and wire/hdfs speaks to the servers.
//
// Snapshots of the root are its pins; their diff names what changed, and misses changes of times alone, which only a full listing
// finds. What is staged, kept and quarantined lies in a directory beside the root. Large files are staged in parts, each a file of
// its own, which concat makes one without moving data. The DataNodes' COMPOSITE_CRC proves what is staged, and rename2 with
// OVERWRITE publishes it: a reader sees the old file or the new.
package hdfs
