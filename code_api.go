package understudy

func apiCodes() []Explanation {
	return []Explanation{
		{"US500", "The command line is wrong", "A command, a flag or an argument is not what the command takes. Nothing was done. The fix line names the help that lists what is possible."},
		{"US501", "No such error code", "`understudy explain` without a code lists all of them."},
		{"US502", "understudy serve does not answer", "The command needs a running `understudy serve` and could not reach it at its unix socket. It is given by --socket or $UNDERSTUDY_SOCKET, and is understudy.sock in the data directory otherwise. Replication and operations do not depend on this command."},
		{"US503", "The caller is not known", "The API takes calls over its unix socket only, where the operating system names the caller. The peer could not be named, so nothing was done."},
		{"US505", "The request is not what the API takes", "A field is missing, unknown or out of range; the answer names it. See the OpenAPI document at /openapi.json."},
		{"US506", "A confirmation is missing", "Verbs that move the active side ask for the plan's name: type it when asked, or give --confirm=PLAN. Nothing was done."},
		{"US507", "The wait is over, the operation goes on", "The client stopped waiting; `understudy serve` goes on with the operation. Its id was printed: `understudy report ID` shows how it stands."},
		{"US508", "The operation ended without success", "The operation was aborted, or is paused and waits for a decision. `understudy report ID` shows the stage, the step and the error; retry, skip and abort are the ways on."},
		{"US509", "An objective is breached", "`understudy status --check` found a workload whose proven exposure is above its objective, whose exposure is not known, or which is not protected."},
		{"US510", "Another process answers on the socket", "The unix socket is in use by a living process, most likely another `understudy serve` on the same data directory. Two cannot share one."},
		{"US511", "No plan is active at the site", "`understudy failover --site` found no plan whose active side, or last active side, is the named site. Nothing was done."},
		{"US512", "serve cannot start with this configuration", "The configuration of `understudy serve` is missing something that it needs, or names a file that cannot be read. `understudy serve --help` lists what it takes, and the error names the key or the file."},
	}
}
