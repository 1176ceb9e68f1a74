package understudy

// storageWorkloadCodes are about the kind storage: US700 to US759.
func storageWorkloadCodes() []Explanation {
	return []Explanation{
		{"US700", "Not a valid storage workload", "A tree, a guard, a name or an endpoint of a storage workload cannot be used as it is written. The message names the value. Trees are plain absolute paths that do not lie within each other; a guard says how many entries, and which share, one run may delete."},
		{"US701", "A store failed", "A call to a store did not succeed; the tree and the cause are in the message. What readers see is whole. The step is tried again, and goes on from where it was."},
		{"US702", "A store does not answer", "The store of a site cannot be reached, or its NameNode is in safe mode. Nothing is concluded from that. Bring it back; what waits for it goes on by itself, or after a retry."},
		{"US703", "A tree of two workloads", "One tree, or a part of it, belongs to two workloads on one store. They would close, overwrite and promote it against each other. Leave it out of one of them, or unprotect the one to which it should not belong."},
		{"US704", "A tree is not there", "The root of a tree does not exist where it should be copied from. It is not taken for an empty tree, so nothing was deleted at the other side. Mount or restore it, or correct the path in the plan."},
		{"US705", "A right is missing at a store", "The user as whom understudy acts may not do what is needed: read all of the source, write, rename and set owners at the target and in its folder beside the tree, and close and open the roots. Make it the owner of the roots, or a superuser of the store, and retry."},
		{"US706", "Another store answers", "The store at a site is not the one that was protected there: it was exchanged, formatted anew, or the address leads to another one. Nothing was written to it. Correct the site file. If the store was made anew on purpose, unprotect the workload and protect it again."},
		{"US707", "The role has changed", "The role of the workload changed between the moment when a step was decided and the moment when it was to open a tree. The step did nothing. Another operation is or was at work: `understudy status` shows it."},
		{"US708", "No whole set is shown", "The target does not show one whole set of a tree: none was published, or one is half shown. A set that is half shown is finished by the next step that can, and needs no source for it. Run the replication, or retry."},
		{"US709", "The ledger cannot be written", "What only one side has is listed in the data directory before anything of it is moved aside, and that list could not be written. Nothing was moved. Make room, or correct the rights of the directory, and retry."},
		{"US710", "The ledger is not on this member", "The list of what only one side had lies in the data directory of the member that led the operation, and this is another one, or the directory was emptied. The same list, and the files themselves, are at the site: in understudy's folder beside the tree, under kept/ledger and quarantine/ledger-OPERATION."},
		{"US715", "A root is not snapshottable", "The root of a tree on HDFS does not allow snapshots, and understudy is no superuser who could change that. Runs go on: each lists the whole tree instead of asking for the difference, and the files of a set are of slightly different moments. Let a superuser run `hdfs dfsadmin -allowSnapshot PATH`."},
	}
}
