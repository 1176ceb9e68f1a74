package understudy

import "slices"

func kafkaCodes() []Explanation {
	return slices.Concat(kafkaClusterCodes(), kafkaFenceCodes(), kafkaReturnCodes(), kafkaMirrorCodes())
}

// kafkaClusterCodes are about reaching and reading clusters: US100 to US109.
func kafkaClusterCodes() []Explanation {
	return []Explanation{
		{"US100", "Cluster did not answer", "None of the brokers named in the site file answered in time. Nothing is known about the cluster; what was proven before stays proven up to its time. Check that the brokers run and that this machine can reach the addresses they advertise. A listener that wants TLS or a login and gets neither answers nothing as well: it hangs up at once, and so does one without TLS that is spoken to in TLS. Compare `tls` and `sasl` in the site file with what the listener has."},
		{"US101", "Another cluster answers at this address", "The cluster id that the brokers report is not the one seen when the workload was protected. Nothing was read or written. Correct the address in the site file; if the cluster was really rebuilt, let the old one go (`understudy unprotect PLAN --let-go SITE --as NAME`) and protect again."},
		{"US102", "A right is missing", "The broker refused a request because the principal that understudy uses lacks the right that the error names. Grant it and retry. Or it refused the login itself: the password is wrong, the listener does not offer that mechanism, or it takes no login at all because it is not one with SASL. A cluster that refuses the login is there, and may let ordinary writers in: a failover that cannot fence it stops, and `--accept-fence` does not help. Mend the login and retry; where the cluster must be given up as it is, cut it off from its writers and from understudy, so that it no longer answers."},
		{"US103", "The broker refused a request", "The broker answered with the error code that the message shows. The step that met it stopped and can be retried."},
		{"US104", "Stamp of another control plane", "The cluster carries the stamp of another understudy control plane for this workload. Two control planes must not steer one workload: the other one has to unprotect it. If that one is lost for good, together with its data directory, a person removes what it left there with Kafka's own tools, and protects the workload anew: `understudy explain US252` tells how. Nothing takes the stamp over by itself."},
		{"US105", "No topic matches", "None of the cluster's topics matches the workload's patterns, or a pattern names topics of Kafka itself. Patterns are RE2 and anchored at both ends: `orders.*` matches every name that begins with orders, and `orders*`, as a shell has it, only order and what ends in more of its last letter. `validate` and `apply` remark upon such a pattern, and `doctor` and `validate --live` warn of one that matches no topic; neither refuses it."},
		{"US106", "Broker too old", "The cluster does not offer a request that the proofs need (DescribeProducers and topic ids, Kafka 2.8; markers, Kafka 2.1)."},
		{"US107", "Both sites are one cluster", "Both sites of the workload answer with the same cluster id: they are one cluster. A link from a cluster to itself would never be a protection."},
		{"US109", "Endpoint not usable", "The endpoint's configuration or one of its secrets cannot be used: an address is not host:port, the login's mechanism is not known, or a secret is not what it should be. No connection was made."},
	}
}

// kafkaFenceCodes are about taking over: US110 to US124.
func kafkaFenceCodes() []Explanation {
	return []Explanation{
		{"US110", "The mover would be fenced with the writers", "The principal that understudy uses is one of those that may write the topics, so a DENY for ordinary writers would stop the mirror as well. Give understudy its own principal on this cluster."},
		{"US111", "Transactions stay open", "The old primary's topics were closed to new records, but transactions are still open after the broker's transaction.max.timeout.ms. Closing the topics completely now would leave them hanging for good. End the named transactional ids (stop their producers, or `kafka-transactions.sh --abort`) and retry."},
		{"US112", "Fence not proven", "A write probe with an ordinary writer's credentials was not refused on every partition. The secondary stays closed."},
		{"US113", "Source and target end differently", "After the fence, the secondary does not end where the primary ends. Nothing is promoted until they do."},
		{"US114", "Halt not proven", "A partition of the secondary does not show the halt marker of the current role epoch, an old-epoch probe was not refused with 47, or the marker is older than half the time for which the brokers remember a producer (producer.id.expiration.ms): then abort the takeover and begin it anew."},
		{"US115", "Role changed", "The workload's role is no longer the one under which this step was decided. Nothing was changed."},
		{"US116", "New side not open", "The write probe on the new side did not find every partition open, or the acknowledged write failed."},
		{"US117", "Role epoch not usable", "The role epoch is used up or not above what the log has seen. Control chooses a higher one."},
		{"US118", "Topics changed since the step was decided", "Topics or partitions appeared or vanished between the plan of the step and its effect. Retry: the step is planned anew."},
		{"US119", "Target holds data of its own", "A topic of that name on the secondary has records that understudy did not write. It is never overwritten; move or delete it, or leave it out."},
		{"US120", "Records are not replicated yet", "The old primary is closed to writers, but leaders there hold records that are not on enough of their replicas: a broker does not follow, or fewer replicas are in sync than min.insync.replicas. Nobody can read or mirror such a record yet. It becomes visible when the replicas have it, and whoever wrote it with acks=1 has been told already that it is written. So a planned takeover waits for the replicas, up to a minute, and then stops. Bring the brokers back that hold them, and retry; or abort. A failover does not wait, and says so in a warning: the records are saved to the ledger by the reprotect, which waits for them."},
		{"US121", "Too few replicas in sync", "A partition, which the error names, takes no acknowledged write: fewer of its replicas are in sync than its min.insync.replicas. Or it has a new leader that has not heard of enough replicas yet, so that nobody can know where its log ends. A step that meets it on the secondary is tried again by itself for two minutes, and then the operation pauses; the mirror tries on and on. Bring the brokers back that hold the replicas, and retry. A failover does not wait for the stamp of an old primary in that state, and says so."},
		{"US122", "Partition without a leader", "A partition, which the error names, has no leader: nobody can read or write it. A leader that died is replaced when its session ends, 9 seconds by default; where no replica is left that was in sync, the partition stays so until one of them is back. Bring the brokers back that hold its replicas. Until then the site counts as unreachable, since nothing can be proven about that partition; a failover asks for a named acceptance."},
	}
}

// kafkaReturnCodes are about bringing the old primary back: US125 to US139.
func kafkaReturnCodes() []Explanation {
	return []Explanation{
		{"US125", "Topic not level after an abort", "The fenced source does not end exactly where the halted target ends. The topic is marked broken and is bootstrapped anew before it counts as protected."},
		{"US126", "Divergent records not all readable", "The ledger could not save every offset that diverged on the old primary. Nothing was discarded."},
		{"US127", "Not enough disk", "Making the topics anew on the old primary needs more disk space than the brokers report as free."},
		{"US128", "The topic's name is taken again and again", "A producer that still retries makes the topic again as soon as it is deleted (auto.create.topics.enable), or writes into it as soon as it is opened. What it wrote is saved to the ledger before the topic is deleted again, and after three tries the topic stays closed. Stop the producers that still use the old primary, or set auto.create.topics.enable=false there, and retry."},
		{"US131", "Ledger files not here", "The list of a ledger's files, or one of the files in it, is not where it is expected on this member. A ledger's files are written on the member that ran the operation, and stay in its data directory. Ask that member, or put the folder back from a copy; nothing says that the records are lost."},
		{"US132", "A site does not answer that must be cleaned up", "Unprotect takes back what understudy put in place at every site: DENY rules, append limits, stand-in settings and the stamp. A site that does not answer cannot be cleaned up, and the memory of what was changed there is kept until it can. Bring the site back and retry. If it is lost for good, let it go by name (`understudy unprotect PLAN --let-go SITE --as NAME`): then what stays there is listed, and somebody has to remove it by hand should the site return."},
		{"US133", "Another workload mirrors the topic", "A topic matches the patterns of two workloads on the same clusters. Each would fence it, change its settings and promote it on its own. Leave it out of one of them with exclude, or unprotect the other workload first."},
		{"US129", "Ledger incomplete", "The saved records do not add up to the divergent range, or a file's digest is not the one in the receipt. Nothing is discarded on this ground."},
	}
}
