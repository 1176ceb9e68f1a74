package hdfs

import "github.com/understudy-dr/understudy/lab"

// Version is the pinned version of Hadoop.
const Version = "3.4.1"

// Superuser owns the file system of every cluster, whoever runs the lab.
const Superuser = "hdfs"

// profile is what HDFS and its client are made of.
func profile() lab.Jars {
	return lab.Jars{Name: "hdfs-" + Version, Artifacts: hdfsArtifacts()}
}

// yarnProfile is what YARN, its jobs and DistCp are made of.
func yarnProfile() lab.Jars {
	return lab.Jars{Name: "yarn-" + Version, Artifacts: append(hdfsArtifacts(),
		hadoop("hadoop-yarn-server-resourcemanager"), hadoop("hadoop-yarn-server-nodemanager"),
		// The NodeManager does not start without classes of this one.
		hadoop("hadoop-yarn-server-timelineservice"),
		hadoop("hadoop-mapreduce-client-jobclient"), hadoop("hadoop-mapreduce-client-app"),
		hadoop("hadoop-mapreduce-client-hs"), hadoop("hadoop-mapreduce-client-shuffle"),
		hadoop("hadoop-distcp"),
	)}
}

func hadoop(name string) lab.Artifact {
	return lab.Artifact{Group: "org.apache.hadoop", Name: name, Version: Version}
}

func hdfsArtifacts() []lab.Artifact {
	return []lab.Artifact{
		hadoop("hadoop-common"), hadoop("hadoop-hdfs"), hadoop("hadoop-hdfs-client"),
		// Maven would choose 2.10.2, which the databind of the same tree does not work with.
		{Group: "com.fasterxml.jackson.core", Name: "jackson-core", Version: "2.12.7"},
	}
}
