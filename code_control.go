package understudy

import "slices"

func controlCodes() []Explanation {
	return slices.Concat(orderCodes(), gateCodes(), stepCodes(), stageCodes(), runCodes())
}

func orderCodes() []Explanation {
	return []Explanation{
		{"US200", "A state that should be impossible", "Control met a state that its tables do not allow. It stopped the operation where it was; nothing was skipped. Please report it with the output of `understudy report`."},
		{"US201", "An entry of the journal cannot be read", "An entry was written by another version of understudy, or is damaged. Nothing is decided on it. Use the version that wrote it, or a newer one."},
		{"US202", "There is no such thing", "The name is not known to the control plane. List what there is with `understudy get`."},
		{"US203", "No such operation", "The verb has no table of stages in this release."},
		{"US204", "Nobody is named", "Every order and every decision is journaled with the name of whoever gave it. The API takes the name from the caller's identity."},
		{"US205", "Not confirmed", "Verbs that move a role or end protection want the plan's name typed, or --confirm=PLAN. Nothing was begun."},
		{"US206", "The plan is not protected", "No site is active for the plan because it was never protected. Begin with `understudy protect`."},
		{"US207", "Not a site of the plan", "The site named with --to does not belong to the plan."},
		{"US208", "No takeover waits for a commit", "Commit and rollback are about a takeover in its commit window, and there is none: it was committed, rolled back or superseded."},
		{"US209", "The workloads do not agree on the active site", "One workload of the plan has another active site than the others, because it was quarantined in a takeover or an operation is still open. Finish that operation, or take the workload back in with `understudy retry --workload` or `understudy abort --workload`."},
		{"US210", "Not in this state", "The operation is in a state that does not take this order. `understudy report OPERATION` tells which state it is in and how it came there."},
		{"US217", "A failover cannot be rolled back", "After a failover the old side has lost its place: what was written on the new side since is nowhere else. Commit it, reprotect, and fail back by a planned switchover, which loses nothing."},
		{"US218", "The documents changed meanwhile", "Somebody applied other documents since this change was begun. Nothing was applied. Look at the difference and apply again."},
		{"US219", "This member does not lead", "Only the leading member of the control plane takes orders; the message names it. While a new leader waits until its predecessor can have nothing in flight, nobody takes orders; ask again in some seconds."},
	}
}

func gateCodes() []Explanation {
	return []Explanation{
		{"US211", "A former leader may still act", "A new leader begins nothing until the lease and the longest request of its predecessor have passed, because no lock can take back a request that was already sent. It goes on by itself."},
		{"US212", "Another operation is open", "At most one operation that changes roles or links is open in a plan. Finish or abort it. A failover may take the place of a stuck operation that is named with --supersede."},
		{"US213", "The last takeover is not final", "Reprotect, failback, switchover, protect and unprotect need the last takeover committed or rolled back, because they discard what a rollback needs."},
		{"US214", "The site is active already", "The site that is to take over is the one that is active, or was last."},
		{"US215", "No way back after PROMOTE", "The new side is active and may have taken writes. What remains is to retry, or to start a new failover."},
		{"US216", "A workload is quarantined", "A takeover is not final while one of its workloads is quarantined. Take it back in with `understudy retry --workload`, or let it go with `understudy abort --workload`."},
		{"US220", "Not drained", "A switchover loses nothing: before the link is halted there must be proof that the new side holds everything the fenced old side holds. Retry when the link has caught up, or abort."},
		{"US221", "The old side is not provably fenced", "Nothing proves that nobody writes the old side at the level the operation asks for. If it answers, retry the fence. If it is down, a named person may give their word that nobody writes there (--accept-fence FA --as NAME); the word holds only while it stays unreachable, and what it took nevertheless goes to the ledger when it is back. A switchover takes no such word: it loses nothing."},
		{"US222", "The old side answers", "A named acceptance holds only while the old side is unreachable, and it answers. Retry: it is fenced first, and then there may be more to salvage."},
		{"US223", "The mover is not provably halted", "Nothing proves that late writes of the link into the new side would be refused there. Opening it now could mix them with the writes of clients. Retry, or abort."},
		{"US224", "The operation has lost its place", "Another operation took this one's place, it was turned back, or the role is not the one that it fenced. PROMOTE did not happen."},
		{"US226", "The new side may have been enabled", "An abort makes the old side active again only with proof that the new side took no ordinary write. Retry; if it did take writes, a failover is the way forward."},
		{"US227", "The sides are not level", "After a halt the new side may end differently from the old one. An abort makes the old side active again only when both provably end alike. Retry."},
		{"US228", "The operation has lost its place", "Another operation took this one's place, or the role is not the one that it fenced. RESTORE did not happen."},
		{"US230", "A link may not be assigned", "A link was to be assigned whose source is not active, or by an operation that has lost its place to another. It was not assigned."},
		{"US232", "The site is active", "The standing duty fences only sites that must not take writes; this one is active."},
		{"US233", "A link writes into the site", "The standing duty does not fence the target of a link: it is guarded instead."},
		{"US234", "The site is about to take over", "The standing duty never fences the new side of an open operation."},
	}
}

func stepCodes() []Explanation {
	return []Explanation{
		{"US240", "It is not known whether a step happened", "The control plane crashed during a step that can neither be repeated nor looked up. Look, then retry or skip it."},
		{"US241", "A step took too long", "One attempt exceeded the time of the step. What it began may go on; the step is harmless to repeat. Retry, or abort."},
		{"US242", "The approval does not cover it", "An approval binds the operation, its objects, the highest loss and the lowest fence level. A new acceptance changes that. Abort, or start a failover that supersedes, and have it approved."},
		{"US243", "A reason is missing", "Skipping a step and discarding a ledger are journaled with a reason. Add --reason."},
		{"US244", "What failed cannot be skipped", "Fences, halts and proofs are never skipped, and only a failed step can be. Retry, or abort."},
		{"US245", "A hook is not configured", "The plan names a hook that serve's configuration does not have on the leading member. Add it there, or take it out of the plan, and retry."},
		{"US246", "Who starts an operation cannot approve it", "The plan wants a second person for this verb."},
		{"US247", "The workload is not quarantined", "Retry and abort with --workload are about a workload that an open takeover left out, while that takeover rests in its commit window."},
		{"US248", "A hook failed", "A hook ended with another status than zero or ran too long; the end of its output is in the message. See to it, then retry, or skip it with a reason."},
		{"US249", "The ledger may still be needed", "Until the takeover is committed and no operation is open, nothing that a rollback needs is discarded."},
	}
}

func stageCodes() []Explanation {
	return []Explanation{
		{"US250", "The link does not keep up", "A planned takeover begins only when the link into the new side is protected. Wait, or repair the link; if the old side is lost, use failover."},
		{"US251", "The new side does not answer", "The site that is to take over cannot be reached. Bring it up, then retry."},
		{"US252", "The site belongs to another control plane", "The site carries the stamp of another control plane. Two of them must never move the same roles. Nothing was changed. If that control plane still runs, unprotect the plan with it. If it is lost for good, together with its data directory, a person does what follows by hand, with the engine's own tools. No data is lost meanwhile, but nothing is mirrored, copied, fenced or failed over.\n\nStorage:\n\n" + lostTrees + "\n\nKafka:\n\n" + lostPlane},
		{"US253", "The new side does not provably take writes", "After PROMOTE a write on every shard must be let in and one be acknowledged. Retry; the new side is active either way."},
		{"US254", "The ledger is not provably complete", "What only the old side has must be saved, durable and counted, before anything of it is cut away. Retry; check the disk space of the data directory."},
		{"US255", "The link is broken", "A shard of the link stopped and needs a decision; `understudy status` names it and the repair."},
		{"US256", "The link waits for a role epoch", "The engine has seen a higher epoch than the link's. Control raises the role epoch by itself as soon as no operation has the role in hand."},
		{"US257", "An operation is open", "Documents are not changed under an open operation. Finish or abort it first."},
		{"US258", "The workload is protected", "The new documents would drop or move a workload that is protected. Unprotect it first."},
		{"US259", "The plan has too many workloads", "The roles of all workloads of a plan move in one transaction of the journal, or none does, and a transaction is bounded; the limit is in the message. Nothing was applied. Make two plans of it. The number of topics and partitions in a workload is not bounded by the journal."},
		{"US260", "Nothing is proven about the new side", "The first copy was never complete, so what a failover would lose has no bound. Let the link finish, or restore the old side."},
		{"US261", "More may be lost than was allowed", "The proven bound of the loss is above --max-loss; the numbers are in the message. Wait for the source, or abort and name a higher limit."},
		{"US262", "The old side answered after the halt", "A side whose silence had been accepted answered after the links were halted. It is fenced now. What it took since the cut goes to the ledger when it is reprotected. Retry to go on, or abort to go back to it."},
		{"US263", "Another workload comes first", "The plan says by `after` that the workload follows another one, and that one is still quarantined. Have that one follow the takeover first: `understudy retry OPERATION --workload NAME`."},
	}
}

// lostPlane is what a person does for Kafka when the journal is gone for good: the steps of docs/running.md, for whoever has nothing but
// the binary.
const lostPlane = `1. Make sure that it is gone: the old process is stopped and cannot start again, on any machine. Two control planes must never steer one plan.
2. Find the active side. Read the stamps at both clusters, and believe the one with the higher epoch:

       kafka-console-consumer.sh --bootstrap-server kafka-e1:9093 --topic __understudy --from-beginning --timeout-ms 10000 --property print.key=true

   Take the newest record of the key stamp/PLAN/WORKLOAD. "active":["east"] names the side. If active is null there, a takeover was under way: nobody is active, and a person decides which side is, by what each topic holds. Never let both take writes.
3. Lift what keeps writers off the active side, if anything does: rules DENY … WRITE on the plan's topics (kafka-acls.sh --list --topic NAME, then --remove), and a max.message.bytes of 0 or 78, which is a fence (kafka-configs.sh --alter --entity-type topics --entity-name NAME --delete-config max.message.bytes, or your own value). If the last takeover was not committed, retention.ms, retention.bytes and the cleanup policy there may be stand-ins: set what the topics' owner wants.
4. At the other side, remove the same DENY rules, then delete the plan's topics. What they hold is a copy, unless that side was active before and was never reprotected: then it may hold the only copy of what the takeover lost. Save that first, with a tool of yours; deleted is deleted. Deleting makes their stand-in settings go too, and keeping them would have the new protect take those for the owner's.
5. Delete the topic __understudy at both sides, and with it the stamps. If another control plane protects something else on the same cluster its stamps are in that topic as well: then write a record without a value under each key stamp/PLAN/WORKLOAD of the lost one instead, and leave the topic.
6. Protect anew. In the plan home must be the side that is active; change it before understudy apply if it is not. Then understudy protect PLAN, which copies everything again, and understudy verify PLAN.`

// lostTrees is the same for trees of files.
const lostTrees = `1. Make sure that it is gone: the old process is stopped and cannot start again, on any machine. Two control planes must never steer one plan. If it copied by YARN, kill the applications whose names begin with understudy (yarn application -list, -kill ID).
2. Find the active side. Read the stamp beside each tree at both sites, and believe the one with the higher epoch; for a tree /data/curated of HDFS:

       hdfs dfs -cat /data/.curated.understudy/kept/stamp.json

   Elsewhere it is the file or object of the same path below the site's root or prefix. "active":["east"] names the side. If active is null there, a takeover was under way: nobody is active, and a person decides which side is, by what each tree holds. Never let both take writes.
3. Open the active side, if it is closed. Its roots belong to understudy's user then, with mode 0700, and have their group and access control list still: give them owner and mode back (hdfs dfs -chown OWNER PATH, hdfs dfs -chmod MODE PATH). In a bucket take the statements whose Sid begins with UnderstudyClosed out of the policy; in a container give the stored access policies back what more than reading and listing they had. What was there before lies in .understudy/policy-before-SID below the prefix, and in .understudy/policies-before of the container: remove these when that is done.
4. At both sites move understudy's folder beside each tree away, all of it: hdfs dfs -mv /data/.curated.understudy /data/curated.lost, or aws s3 mv --recursive, or whatever the store has. Nothing of it may stay under its name: a set that the lost one had staged whole, or shown in part, would be shown by a later takeover, over newer files. So understudy protect refuses while the stamp lies there (US252), and, where only that was removed, while such a set does (US745). It holds the stamp, the lists of what was shown, what was staged, and the quarantines: deleted files, and what a ledger lists, which may be nowhere else.
5. Protect anew. See that the active side is whole and mounted: no set is known any more against which an emptied source could be noticed (US603, US604). In the plan home must be the side that is active; change it before understudy apply if it is not. Then understudy protect PLAN, and understudy verify PLAN.`
