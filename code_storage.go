package understudy

// storageCodes are about copying trees of files: US600 to US659.
func storageCodes() []Explanation {
	return []Explanation{
		{"US600", "A store failed", "A call to a store did not succeed; the path and the cause are in the message. What readers see is whole: the last published set, or files of it and of a set that is staged completely. The job goes on from where it was when it runs again."},
		{"US601", "What the job keeps at the target cannot be read", "The manifest of the published set, or the list of a ready set, is missing, damaged or written by a newer version. The tree itself was not touched. Without it nobody can say what the target should hold: restore the object, or remove all that the job keeps there and run it anew; it then compares source and target from the beginning."},
		{"US602", "The source is not there", "The root of the source does not exist. It is not taken for an empty tree: nothing was deleted at the target. Mount or restore the source, or correct the plan."},
		{"US603", "The source was replaced", "The root of the source is another one than when the last set was published: another file system is mounted there, none is, or the directory was made anew. Nothing was changed at the target. If the source was replaced on purpose, accept its new identity by name; what it does not hold then counts as deleted, and the guard applies."},
		{"US604", "The source is empty", "The source holds no file any more, and the published set does. That is what an emptied, unmounted or wrongly named source looks like, so nothing was deleted whatever the guard allows. If it was emptied on purpose, accept the deletes by their number."},
		{"US605", "Too many deletes", "The next set would delete more entries, or a larger share of the published set, than the guard of the job allows. Nothing was changed at the target, also no file was copied: a source that lost much may be damaged in other ways. Look at the source; if the deletes are meant, accept them by their number for one run."},
		{"US606", "Bytes were damaged", "The content of a file differs from its checksum, at the source, on the way or where it was staged, and did so each time it was tried. The file was not published. If the source itself gives bytes that differ from what was read of the same version before, it has rotted; the target still holds the good ones."},
		{"US607", "A file changes faster than it can be read", "A file of a live source was changed each time while it was read, or stands where something else should. It was not published, and the last set stays. Stop the writer for a while, leave the file out, or use a source with snapshots."},
		{"US608", "The target cannot hold a name", "A name at the source has bytes that the target does not allow. Nothing was changed at the target. Rename it at the source, or leave it out."},
		{"US609", "Not a valid job", "A copy job lacks a target, a source where it needs one, or has a name that cannot be used in a file name. Nothing was done."},
		{"US610", "The job is running already", "Another call of the same job uses the mover's data directory now. Nothing was done; wait for the other, or stop it."},
		{"US611", "The mover's data directory cannot be used", "Plans, journals and cached manifests of unfinished runs lie in a directory of this member, and it cannot be read or written. Make room or correct its rights. If it is lost, nothing else is: a run begins anew."},
		{"US612", "No such set", "The job has no set at its target in the state that was asked for: none is published, or none is ready to be finished. Run the job first."},
		{"US613", "A set is half shown", "Publishing of a set has begun: readers see files of it and of the last one. It cannot be given up any more, only finished; everything it needs is at the target."},
		{"US614", "A ready set does not fit", "A set is staged at the target that does not follow the published one. Two movers worked on one job, or what they keep there was restored from a backup. Nothing was changed. Drop the ready set and run the job again."},
		{"US615", "A renamed entry is gone at the target", "The set renames an entry that is neither under its old nor under its new name at the target: somebody removed it there. Publishing stopped. Put it back from the quarantine or a snapshot, then finish the set."},
		{"US616", "A staged file is gone", "A file of a ready set is no longer where it was staged: somebody cleaned the staging place. Publishing stopped at it; what readers see is whole. Run the job with its source, which copies the file again."},
		{"US617", "A principal is unknown at the target", "An owner, a group or a name in an ACL does not exist at the target, which cannot hold it therefore. The entry was not published. Make the principal there, or map it in the plan."},
		{"US618", "Neither file, directory nor link", "The tree holds a device, a socket, a pipe or an encrypted or striped file that cannot be copied. Nothing was changed at the target. Leave it out, or remove it."},
		{"US619", "A right is missing at a store", "The store denied a call; the path and the call are in the message. A mover needs to read all of the source, and to write, set owners and rename at the target and in its hidden directory beside it. Give its user these rights and run the job again; it goes on from where it was."},
		{"US620", "Another run's set is ready", "A set that an earlier run staged and verified waits at the target. A new run does not stage beside it. Finish it, which needs no source, or drop it."},
	}
}
