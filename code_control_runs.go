package understudy

func runCodes() []Explanation {
	return []Explanation{
		{"US270", "Not replicated by schedule", "The workload's architecture has a mover that follows its source all the time; there is nothing to run. `understudy status` shows how far it is."},
		{"US271", "Name the workload", "Several workloads of the plan are replicated by schedule, or none of that name. Add --workload NAME."},
		{"US272", "There is no link to replicate", "A run copies along a link from the active site to one that is inactive and protected. The plan is not protected, is being taken over, or the site named is not the target of a link. Nothing was begun."},
		{"US273", "A run is open", "At most one run of a workload is open at a time. Wait until it has ended, or abort it. A scheduled run that comes due meanwhile is merged into the one that follows."},
		{"US274", "The roles are being changed", "An operation that changes roles or links of the plan is open. A run begins when it has ended; one that came due meanwhile is caught up then."},
		{"US275", "The run has lost its place", "A takeover took the place of this run, or the role changed under it. What the run put in place at the target is not counted as published: the exposure stays that of the set before."},
		{"US276", "Nothing proves what was staged", "A set is published only when there is proof that what was staged at the target is what was captured at the source. Retry; the set that was published before is still shown."},
		{"US277", "Nothing was published", "In an architecture without a mover the first run publishes a whole set before the workload is protected. It did not. Retry."},
		{"US278", "Not for this operation", "Sweeps (--relist, --repair) and acceptances of what a guard refused (--accept-deletes, --accept-source) belong to a run of replication of a kind that offers them; acceptances may also be given to an operation that a guard has paused, by `understudy retry`. An acceptance names the number of deletes, or the identity of the source, that the refused run told; there is no way to accept all."},
		{"US280", "A provisioner is not configured", "The site's file names a provisioner for the cluster that serve's configuration does not have on the leading member. Add it there under `provisioners:`, and retry."},
		{"US281", "A provisioner failed", "The command that makes or removes the cluster could not be started, or ended with another status than zero; the end of what it wrote to its standard error is in the message. See to it, then retry. The command may be called again as often as needed."},
		{"US282", "A provisioner took too long", "The command that makes or removes the cluster ran longer than its timeout in serve's configuration, and was ended. Retry: the next call brings to its end what this one began."},
		{"US283", "A provisioner gave no usable answer", "The command that makes or removes the cluster must answer with one JSON document that says whether the cluster is present or absent, and with what was asked for: present after make and resize, absent after remove."},
		{"US284", "The cluster does not answer", "The provisioner says that the cluster is there, but the workload cannot reach it, or is refused there. Look at the addresses and the login in the site's file and at the cluster, then retry."},
	}
}
