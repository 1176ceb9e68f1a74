package understudy

// kafkaMirrorCodes are about movers and comparisons: US140 to US159.
func kafkaMirrorCodes() []Explanation {
	return []Explanation{
		{"US140", "Another mover holds the link", "The target's log has seen a higher role epoch of this link, or has forgotten the current one. The mover that met it stopped and wrote nothing more; control makes a new assignment with a higher role epoch."},
		{"US141", "The target took writes of others", "A partition of the target holds records that the mirror did not write, or ends beyond its source. Nothing more is written there: same offsets would no longer mean same records. Find and stop the writer, let open operations end (commit or roll back a takeover, abort or finish anything else), and run `understudy reprotect PLAN`: it fences the secondary, saves what was written there to the ledger, and makes the topic anew. A topic that is so from the very first copy can also be deleted there after an abort, and protected again."},
		{"US142", "Records lost before they were copied", "The source removed records, by retention or DeleteRecords, before the mirror had them. The partition stopped at the gap; nothing is skipped. The range is named: it must be accepted as lost, and the topic copied anew."},
		{"US143", "The source's history changed", "The source no longer has the records that were copied from it: its log was truncated after an unclean election, or replaced. Nothing more is copied from that partition until a person has decided which side is right."},
		{"US144", "Topic made anew on the source", "The topic was deleted and created again on the source under the same name. The target still holds the records of the old one. Delete it on the target, or leave the topic out, and it is copied from its beginning."},
		{"US145", "Batch cannot be mirrored", "A record batch of the source is damaged, or is in message format 0 or 1 (before Kafka 0.11). The partition stopped before it; nothing is skipped."},
		{"US146", "The target refuses our appends", "The target's brokers refuse what the mirror sends: the topic is closed by its append limit, the mirror lacks a right there, or a limit of the topic is lower than on the source. The mirror tries again by itself once the cause is gone."},
		{"US147", "Role epoch out of range", "Kafka's producer epochs end at 32767 and the role epoch is used as one. After some 32,000 changes of role a workload has to be unprotected and protected again."},
		{"US148", "Topic shapes differ", "The topic has more partitions on the target than on the source, so that keys would not be found where they belong. Delete the topic on the target, or leave it out."},
		{"US150", "Consumer groups not copied", "The positions of some consumer groups could not be read or set. Data goes on; the groups that are concerned are named."},
		{"US151", "Broker does not answer", "One broker of a cluster does not answer, so that the partitions it leads do not move. The mirror tries again by itself."},
	}
}
