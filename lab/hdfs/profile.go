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

func hdfsArtifacts() []lab.Artifact {
	hadoop := func(name string) lab.Artifact {
		return lab.Artifact{Group: "org.apache.hadoop", Name: name, Version: Version}
	}
	return []lab.Artifact{
		hadoop("hadoop-common"), hadoop("hadoop-hdfs"), hadoop("hadoop-hdfs-client"),
		// Maven would choose 2.10.2, which the databind of the same tree does not work with.
		{Group: "com.fasterxml.jackson.core", Name: "jackson-core", Version: "2.12.7"},
	}
}
