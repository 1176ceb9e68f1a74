package understudy

// offloadCodes are about work that is handed to other engines: US660 to US699.
func offloadCodes() []Explanation {
	return []Explanation{
		{"US660", "YARN wants another authentication", "A ResourceManager or history server does not take simple authentication. One that wants Kerberos is not supported: nothing was submitted, and `doctor` and `validate --live` say so before anything is applied. Write `engine: native` for the tree, which does speak Kerberos to HDFS, or `engine: auto`, which then uses the native mover."},
		{"US661", "No server of YARN answers", "None of the addresses of ResourceManagers gave an answer, or all of them are on standby; or the history server is down. A job that was submitted before goes on, and writes only where no reader looks. Start the servers or correct the addresses, and run the job again: it takes up the one that runs."},
		{"US662", "YARN refused a request", "YARN did not take a request; its own words are in the message: a queue that does not exist, a container larger than allowed, a right that is missing, or an address that is none. Nothing visible was changed at the target. Correct the configuration and run the job again."},
		{"US663", "An answer of YARN cannot be understood", "A server answered with something that is no answer to what was asked: a proxy or a login page stands between, or it is another kind of server. Correct the address. Nothing visible was changed at the target."},
		{"US664", "YARN does not know an application", "The ResourceManager, or the history server, does not know the application: it was never submitted, was forgotten, or is not yet in the history. A copy job decides by itself what follows from that; by hand, list the applications with `yarn application -list -appStates ALL`."},
		{"US665", "A copy job failed on YARN", "The job that was to bring the files failed each time it was tried; what YARN says of it is in the message, and the logs of its containers say more (`yarn logs -applicationId ID`). Nothing visible was changed at the target. Remove the cause and run the job again: what it brought already is not copied again. Or use the native engine."},
		{"US666", "A copy job was killed", "Somebody killed the job on YARN that was to bring the files, and it was not us. It is not started again by itself, because the one who killed it had a reason. Nothing visible was changed at the target. Run the job again when the cluster may be used."},
		{"US667", "DistCp cannot copy between these stores", "DistCp on YARN copies from HDFS to HDFS, and at least one of the two stores is another one or has another file system than the configuration names. Nothing was done. Use the native engine."},
		{"US668", "A set was begun with another engine", "Staging of the next set was begun by a job on a cluster, which may still be writing into the staging place, and now the tree is to be copied without that engine. Nothing visible was changed at the target. Run or drop it once with the engine with which it was begun."},
	}
}
