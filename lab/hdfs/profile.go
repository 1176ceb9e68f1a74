package hdfs

import "github.com/understudy-dr/understudy/lab"

// Version is the pinned version of Hadoop, and Older the one that clusters can be started with besides.
const (
	Version = "3.4.1"
	Older   = "3.3.6"
)

// Superuser owns the file system of every cluster, whoever runs the lab.
const Superuser = "hdfs"

// profile is what HDFS and its client are made of.
func profile(version string) lab.Jars {
	return lab.Jars{Name: "hdfs-" + version, Artifacts: hdfsArtifacts(version)}
}

// yarnProfile is what YARN, its jobs and DistCp are made of.
func yarnProfile() lab.Jars {
	return lab.Jars{Name: "yarn-" + Version, Artifacts: append(hdfsArtifacts(Version),
		hadoop("hadoop-yarn-server-resourcemanager"), hadoop("hadoop-yarn-server-nodemanager"),
		// The NodeManager does not start without classes of this one.
		hadoop("hadoop-yarn-server-timelineservice"),
		hadoop("hadoop-mapreduce-client-jobclient"), hadoop("hadoop-mapreduce-client-app"),
		hadoop("hadoop-mapreduce-client-hs"), hadoop("hadoop-mapreduce-client-shuffle"),
		hadoop("hadoop-distcp"),
	)}
}

func hadoop(name string) lab.Artifact { return hadoopOf(name, Version) }

func hadoopOf(name, version string) lab.Artifact {
	return lab.Artifact{Group: "org.apache.hadoop", Name: name, Version: version}
}

func hdfsArtifacts(version string) []lab.Artifact {
	return []lab.Artifact{
		hadoopOf("hadoop-common", version), hadoopOf("hadoop-hdfs", version), hadoopOf("hadoop-hdfs-client", version),
		// Maven would choose 2.10.2, which the databind of the same tree does not work with.
		{Group: "com.fasterxml.jackson.core", Name: "jackson-core", Version: "2.12.7"},
	}
}
