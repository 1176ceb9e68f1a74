package hdfs

import (
	"fmt"
	"maps"
	"path/filepath"
)

// queues has one queue, for everybody.
func queues() map[string]string {
	return map[string]string{
		"yarn.scheduler.capacity.root.queues":                    "default",
		"yarn.scheduler.capacity.root.default.capacity":          "100",
		"yarn.scheduler.capacity.maximum-am-resource-percent":    "0.6",
		"yarn.scheduler.capacity.resource-calculator":            "org.apache.hadoop.yarn.util.resource.DefaultResourceCalculator",
		"yarn.scheduler.capacity.root.default.user-limit-factor": "1",
	}
}

// Properties are those of yarn-site and mapred-site.
func (y *YARN) Properties() map[string]string {
	p := y.addresses()
	maps.Copy(p, map[string]string{
		"mapreduce.framework.name":                   "yarn",
		"yarn.resourcemanager.hostname":              "127.0.0.1",
		"yarn.nodemanager.hostname":                  "127.0.0.1",
		"yarn.nodemanager.aux-services":              "mapreduce_shuffle",
		"yarn.nodemanager.local-dirs":                filepath.Join(y.opts.Dir, "local"),
		"yarn.nodemanager.log-dirs":                  filepath.Join(y.opts.Dir, "containers"),
		"yarn.nodemanager.resource.memory-mb":        fmt.Sprint(y.opts.MemoryMB),
		"yarn.nodemanager.resource.cpu-vcores":       "16",
		"yarn.scheduler.minimum-allocation-mb":       "128",
		"yarn.application.classpath":                 y.ContainerClasspath(),
		"mapreduce.application.classpath":            y.ContainerClasspath(),
		"yarn.app.mapreduce.am.staging-dir":          y.StagingDir(),
		"yarn.app.mapreduce.am.resource.mb":          "384",
		"yarn.app.mapreduce.am.command-opts":         "-Xmx256m -XX:+UseSerialGC",
		"mapreduce.map.memory.mb":                    "384",
		"mapreduce.map.java.opts":                    "-Xmx256m -XX:+UseSerialGC",
		"mapreduce.jobhistory.move.interval-ms":      "1000",
		"mapreduce.jobhistory.done-dir":              "/tmp/hadoop-yarn/done",
		"mapreduce.jobhistory.intermediate-done-dir": "/tmp/hadoop-yarn/done_intermediate",
		// What outlives a lab that was killed gives up within a minute.
		"yarn.resourcemanager.connect.max-wait.ms":                    "60000",
		"yarn.app.mapreduce.am.scheduler.connection.wait.interval-ms": "60000",
		// A container is judged by the memory that it asked for and gets no more than the machine has: both checks only kill
		// slow starts here.
		"yarn.nodemanager.vmem-check-enabled": "false",
		"yarn.nodemanager.pmem-check-enabled": "false",
		// The disk of a developer's machine is fuller than a data centre's.
		"yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99",
	})
	maps.Copy(p, y.opts.Properties)
	return p
}

// addresses are where the daemons listen.
func (y *YARN) addresses() map[string]string {
	return map[string]string{
		"yarn.resourcemanager.address":                  y.port(rmClient),
		"yarn.resourcemanager.scheduler.address":        y.port(rmScheduler),
		"yarn.resourcemanager.resource-tracker.address": y.port(rmTracker),
		"yarn.resourcemanager.admin.address":            y.port(rmAdmin),
		"yarn.resourcemanager.webapp.address":           y.port(rmWeb),
		"yarn.nodemanager.address":                      y.port(nmRPC),
		"yarn.nodemanager.localizer.address":            y.port(nmLocalizer),
		"yarn.nodemanager.webapp.address":               y.port(nmWeb),
		"mapreduce.shuffle.port":                        fmt.Sprint(y.kept.Numbers[nmShuffle]),
		"mapreduce.jobhistory.address":                  y.port(hsRPC),
		"mapreduce.jobhistory.admin.address":            y.port(hsAdmin),
		"mapreduce.jobhistory.webapp.address":           y.port(hsWeb),
	}
}
