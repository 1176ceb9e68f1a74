package understudy

func journalCodes() []Explanation {
	return []Explanation{
		{"US300", "The journal could not be used", "The store of the control plane answered with an error that may go away. What was being written may or may not have happened, and never in part: control reads it again before it goes on. No effect on a cluster is begun without its entry in the journal."},
		{"US301", "Not a valid journal transaction", "A transaction was too large, had a key that was empty or too long, wrote a key twice or wrote the key of a leadership. Nothing was written. This is a mistake of the product; please report it."},
		{"US302", "Changed by another writer", "Between reading and writing, another process changed the same object in the journal. Nothing was written. Look at the object again and repeat the command if it is still wanted."},
		{"US303", "No longer the leader", "This process led the control plane, and its lease ended: it was paused, cut off from the journal, or it gave the leadership up. Its write was refused by the journal. Another process leads; this one takes part again by itself."},
		{"US304", "The journal was closed", "The process is stopping and has closed its journal. Operations go on from their last entry when `understudy serve` runs again."},
		{"US305", "The journal no longer keeps these changes", "A reader fell so far behind that the changes it asked for were compacted away, or the journal was restored from an older backup. The reader lists everything again and goes on from there; nothing is skipped."},
		{"US306", "The data directory is in use", "Another process holds the lock file of this data directory; its process id is in the message. Two control planes must never share one directory. Stop the other process, or give this one a directory of its own."},
		{"US307", "The journal's endpoints do not answer", "None of the etcd endpoints in the configuration of serve answered in time, or they had no quorum. Until they do, nothing that changes a role is begun, and a leader stops at its deadline; links go on until their leases end. Check the addresses, the network and the health of etcd."},
		{"US308", "The journal's disk or quota is full", "The store refused a write because its disk or its space quota is full; the message says which. What was committed is kept, and operations pause where they are. Make room on the disk of serve's data directory and start serve again. The embedded store has a quota of 8 GiB, drops its history in time, and makes room by itself, also at a start. An etcd of your own must be compacted and defragmented, and its NOSPACE alarm disarmed, by whoever runs it."},
		{"US309", "The embedded journal has stopped", "The embedded store met an error after which it must not go on, most often a full or failing disk; the cause is in the message. The process stops leading and must be started again when the cause is gone. What was committed is kept."},
		{"US310", "The journal cannot be opened", "The data directory or the connection settings of the journal cannot be used: the directory is missing, not writable, or its files are damaged. The cause is in the message. If the directory is lost, roles can be rebuilt from the stamps that the sites carry."},
		{"US311", "The journal denies access", "etcd refused the credentials or the certificate, or the user lacks a right on the prefix. Give the user read and write permission on the prefix, and check the names in the configuration of serve."},
	}
}
