// Package distcp brings the files of a set from one HDFS to another by Hadoop's DistCp on YARN: it is a filecopy.Carrier. It must not know
// what is planned, proven or published; the mover does all that, as for what it copies itself.
//
// No Java runs on our side. The mover's plan is written as DistCp's own copy listing, cut into splits, and the job is handed to the
// ResourceManager's REST API with Hadoop's stock MRAppMaster. Each map copies, compares the COMPOSITE_CRC of both sides and writes
// directly to a berth that no reader sees and that only this job knows.
//
// A job is named by its lot, its load and its attempt: by an application id that is remembered at the target before anything is
// submitted under it, and by tags, by which a controller that lost the id finds the job. So a controller that comes back, here or
// elsewhere, follows the job that runs and submits no second one.
//
// The user of YARN must be the one of HDFS at the target, and may read the source and write the mover's area. Hadoop 3 is needed: its
// copy listing has another form than that of Hadoop 2.
//
// Errors are *understudy.Error (US660 to US667), those of package offload/yarn among them.
package distcp
