// Package hdfs is a client of HDFS: it speaks to NameNodes by Hadoop's remote procedure calls and to DataNodes by their data transfer
// protocol, from Hadoop 2.8 on. It knows one namespace and its files; what is copied where, when and why is not its matter, and it may be used alone.
//
// # A client
//
// [Dial] connects to the active NameNode of a namespace. A [Client] is shared by as many goroutines as like to: all calls go over one
// connection, any number of them in flight. Each takes a context; one that ends gives up its call and harms no other.
// A call goes on over restarts and failovers of NameNodes for Options.RetryFor, under one number, so that the server does nothing twice.
//
//	c, err := hdfs.Dial(ctx, hdfs.Options{NameNodes: []string{"nn1:8020", "nn2:8020"}, User: "understudy"})
//	defer c.Close()
//
// # Calls
//
//	names       Stat List Entries Walk Mkdirs Mkdir Rename Replace Delete Concat Truncate Closed Symlink ContentSummary
//	attributes  SetPermission SetOwner SetTimes SetReplication SetQuota QuotaUsage
//	            StoragePolicy StoragePolicies SetStoragePolicy UnsetStoragePolicy
//	            GetACL SetACL ModifyACL RemoveACLEntries RemoveACL RemoveDefaultACL
//	            GetXAttrs ListXAttrs SetXAttr RemoveXAttr
//	snapshots   AllowSnapshots DisallowSnapshots CreateSnapshot RenameSnapshot DeleteSnapshot SnapshottableDirs
//	            SnapshotDiff SnapshotDiffPage
//	data        Open OpenInfo Create Append Checksum ChecksumOf Locate ReportBad
//	events      LatestTx Events
//	leases      RecoverLease RenewLease
//	cluster     Defaults ServerDefaults FsStats DataNodes HAState NameNode SafeMode EncryptionZone
//	            ErasurePolicies SetErasurePolicy EnableErasurePolicy
//
// # Copying a file
//
// [FileReader.Next] gives checked packets, [FileWriter.WritePacket] sends them on with the checksums they came with, and [Written] is the
// CRC32C of the whole, which [Client.Checksum] asks of the DataNodes on either side. Small files cost create, addBlock, complete and
// whatever attributes are set; a listing with locations saves the call to open each.
//
//	r, err := source.OpenInfo(ctx, info)
//	w, err := target.Create(ctx, staged, hdfs.CreateOptions{Overwrite: true, Replication: info.Replication, BlockSize: info.BlockSize})
//	for {
//		p, err := r.Next()
//		if err == io.EOF {
//			break
//		}
//		err = w.WritePacket(p)
//	}
//	err = w.Close()          // or w.Abort(), which removes what was begun
//	sum := w.Written()       // CRC32C and length
//	err = target.Replace(ctx, staged, published)
//
// # Errors
//
// A refusal by a server is a [*RemoteError] with the Java exception, everything else an [*Error]; both name the operation, the path and the
// server, and errors.Is finds the sentinels, such as [ErrNotFound], in both. [IsRetriable] says whether the same may succeed a little later.
//
// # Limits
//
// Erasure-coded files are read while all their data units are there, and checksummed; they are never written: Create makes replicated files
// everywhere. Files in encryption zones are refused (ErrEncrypted).
package hdfs
