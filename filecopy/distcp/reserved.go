package distcp

import (
	"slices"
	"strings"
)

// Reserved says whether a property of the job is understudy's: it decides what is copied, from where and to where, how it is compared, or who the
// job is. Reserved ones in Config.Properties count for nothing. Names that Hadoop calls deprecated are all reserved, since it takes many of them
// for the new ones (DeprecatedProperties.html of Hadoop names which).
func Reserved(property string) bool {
	for _, prefix := range []string{"distcp.", "dfs.checksum.", "mapred."} {
		if strings.HasPrefix(property, prefix) {
			return true
		}
	}
	return slices.Contains([]string{
		"fs.defaultFS", "fs.default.name", "user.name",
		"mapreduce.framework.name", "mapreduce.job.name", "mapreduce.job.user.name", "mapreduce.job.dir", "yarn.app.mapreduce.am.staging-dir",
		"mapreduce.job.maps", "mapreduce.job.reduces", "mapreduce.job.map.class", "mapreduce.map.class", "mapreduce.job.inputformat.class",
		"mapreduce.inputformat.class", "mapreduce.job.outputformat.class", "mapreduce.outputformat.class", "mapreduce.job.output.key.class",
		"mapreduce.job.output.value.class", "mapreduce.map.output.key.class", "mapreduce.map.output.value.class",
		"mapreduce.am.max-attempts", "mapreduce.map.speculative", "mapreduce.output.fileoutputformat.outputdir",
	}, property)
}
