package hdfs

import (
	"fmt"
	"maps"
	"os"
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

// threads are few for calls: each looks about once a second, and by default a ResourceManager has 150 of them and a container's
// master 30. What is measured has Hadoop's own numbers.
func (y *YARN) threads() map[string]string {
	if y.opts.Optimise {
		return nil
	}
	return map[string]string{
		"yarn.resourcemanager.client.thread-count":                  "4",
		"yarn.resourcemanager.scheduler.client.thread-count":        "4",
		"yarn.resourcemanager.resource-tracker.client.thread-count": "4",
		"yarn.nodemanager.container-manager.thread-count":           "4",
		"yarn.nodemanager.localizer.client.thread-count":            "2",
		"mapreduce.jobhistory.client.thread-count":                  "2",
		"yarn.app.mapreduce.am.job.task.listener.thread-count":      "4",
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
		// Nobody waits for a heartbeat of a second, nor half a minute for a ResourceManager that comes back.
		"yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": "100",
		"yarn.app.mapreduce.am.scheduler.heartbeat.interval-ms":   "100",
		"yarn.resourcemanager.connect.retry-interval.ms":          "500",
		// Containers take the options of Java from the NodeManager.
		"yarn.nodemanager.env-whitelist": "JAVA_HOME,PATH,LANG,TZ,HADOOP_COMMON_HOME,HADOOP_HDFS_HOME,HADOOP_CONF_DIR,HADOOP_YARN_HOME,HADOOP_HOME," + javaOptions,
		// What outlives a lab that was killed gives up within a minute.
		"yarn.resourcemanager.connect.max-wait.ms":                    "60000",
		"yarn.app.mapreduce.am.scheduler.connection.wait.interval-ms": "60000",
		// A container is judged by the memory that it asked for and gets no more than the machine has: both checks only kill
		// slow starts here.
		"yarn.nodemanager.vmem-check-enabled": "false",
		"yarn.nodemanager.pmem-check-enabled": "false",
		// Each container would else be listed and copied to its logs by a shell before it starts.
		"yarn.nodemanager.log-container-debug-info.enabled": "false",
		// The disk of a developer's machine is fuller than a data centre's.
		"yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99",
	})
	maps.Copy(p, y.threads())
	if y.opts.HA {
		maps.Copy(p, map[string]string{
			"yarn.resourcemanager.ha.enabled":                    "true",
			"yarn.resourcemanager.ha.automatic-failover.enabled": "false",
			"yarn.resourcemanager.ha.rm-ids":                     "rm1,rm2",
			"yarn.resourcemanager.cluster-id":                    "lab",
			"yarn.resourcemanager.recovery.enabled":              "true",
			"yarn.resourcemanager.store.class":                   "org.apache.hadoop.yarn.server.resourcemanager.recovery.FileSystemRMStateStore",
			"yarn.resourcemanager.fs.state-store.uri":            "file://" + filepath.Join(y.opts.Dir, "memory"),
			"yarn.client.failover-sleep-base-ms":                 "200",
			"yarn.client.failover-sleep-max-ms":                  "1000",
			// What runs is given time to say so again before something else is started.
			"yarn.resourcemanager.work-preserving-recovery.scheduling-wait-ms": "2000",
		})
	}
	maps.Copy(p, y.opts.Properties)
	return p
}

// secure are the properties of a ResourceManager that wants Kerberos of everybody, browsers included.
func (y *YARN) secure() (map[string]string, error) {
	k := y.opts.Kerberos
	manager, err := k.Keytab("rm/localhost")
	if err != nil {
		return nil, err
	}
	web, err := k.Keytab("HTTP/localhost")
	if err != nil {
		return nil, err
	}
	secret := filepath.Join(y.opts.Dir, "signature")
	if err := os.WriteFile(secret, []byte("signature of the lab"), 0o600); err != nil {
		return nil, err
	}
	http := "HTTP/localhost@" + k.Name()
	return map[string]string{
		"fs.defaultFS":                                     "file:///",
		"hadoop.security.authentication":                   "kerberos",
		"hadoop.http.filter.initializers":                  "org.apache.hadoop.security.AuthenticationFilterInitializer",
		"hadoop.http.authentication.type":                  "kerberos",
		"hadoop.http.authentication.kerberos.principal":    http,
		"hadoop.http.authentication.kerberos.keytab":       web,
		"hadoop.http.authentication.signature.secret.file": secret,
		"yarn.resourcemanager.principal":                   "rm/localhost@" + k.Name(),
		"yarn.resourcemanager.keytab":                      manager,
		"yarn.resourcemanager.webapp.spnego-principal":     http,
		"yarn.resourcemanager.webapp.spnego-keytab-file":   web,
	}, nil
}

// addresses are where the daemons listen.
func (y *YARN) addresses() map[string]string {
	p := map[string]string{
		"yarn.nodemanager.address":            y.port(nmRPC),
		"yarn.nodemanager.localizer.address":  y.port(nmLocalizer),
		"yarn.nodemanager.webapp.address":     y.port(nmWeb),
		"mapreduce.shuffle.port":              fmt.Sprint(y.kept.Numbers[nmShuffle]),
		"mapreduce.jobhistory.address":        y.port(hsRPC),
		"mapreduce.jobhistory.admin.address":  y.port(hsAdmin),
		"mapreduce.jobhistory.webapp.address": y.port(hsWeb),
	}
	managers := map[string]int{"": 0}
	if y.opts.HA {
		managers = map[string]int{".rm1": 0, ".rm2": secondManager}
	}
	for id, at := range managers {
		p["yarn.resourcemanager.address"+id] = y.port(at + rmClient)
		p["yarn.resourcemanager.scheduler.address"+id] = y.port(at + rmScheduler)
		p["yarn.resourcemanager.resource-tracker.address"+id] = y.port(at + rmTracker)
		p["yarn.resourcemanager.admin.address"+id] = y.port(at + rmAdmin)
		p["yarn.resourcemanager.webapp.address"+id] = y.port(at + rmWeb)
	}
	return p
}
