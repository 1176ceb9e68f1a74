package kafka

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/understudy-dr/understudy/lab"
)

// Link is a network path that clients of another site take, such as a *proxy.Proxy.
type Link interface {
	// Addr is the host:port that clients dial; the broker advertises it.
	Addr() string
	// Forward says which host:port the path leads to.
	Forward(addr string)
}

// Options says what kind of broker to start. The zero value of each but Version is usable.
type Options struct {
	// Version is one of Versions.
	Version string
	// Name is used in errors and directory names.
	Name string
	// Dir holds properties, data and log. A directory that has data already is started with it.
	Dir string
	// ClusterID is 16 bytes in URL-safe base64 without padding; random when empty.
	ClusterID string
	// Port is the plain listener's; a reserved one when 0. The controller and further listeners take
	// reserved ones.
	Port int
	// Properties override the server's, by name.
	Properties map[string]string
	// Authorizer turns on StandardAuthorizer and the SASL listener; the plain listener stays a super user.
	Authorizer bool
	// Users are the names and passwords of SASL/PLAIN principals.
	Users map[string]string
	// WAN is a path that a further listener advertises; it is told where to lead at Start.
	WAN Link
	// WANUsers lets only the Users in on the WAN listener, by SASL/PLAIN; it needs Authorizer.
	WANUsers bool
	// HeapMB is the largest Java heap; 384 when 0.
	HeapMB int
	// Optimise lets the JVM use its optimising compiler: for benchmarks. Starts take longer.
	Optimise bool
	// JVM are further arguments of the Java launcher.
	JVM []string
	// Brokers is how many a Cluster has; a broker by itself is one.
	Brokers int
	// Replication is the number of replicas of topics that nobody says otherwise of, Kafka's own too, in a Cluster; 1 when 0.
	Replication int
	// MinInsync is min.insync.replicas of these topics; 1 when 0.
	MinInsync int

	crashed bool
	// place is the broker's in its cluster.
	place place
}

// place is a broker's in its cluster; the zero value is that of the only one.
type place struct {
	// node is the broker's id, from 1.
	node int
	// voters is who the controllers are, in Kafka's form; empty for the only broker.
	voters string
	// follows says that the broker is no controller.
	follows bool
}

// id is the broker's node id.
func (p place) id() int { return max(p.node, 1) }

// NewClusterID returns a random cluster id in Kafka's form.
func NewClusterID() string {
	var b [16]byte
	for {
		rand.Read(b[:]) // never fails
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}

// jvmArgs are the launcher's arguments before the class path.
func (o Options) jvmArgs() []string {
	heap := o.HeapMB
	if heap == 0 {
		heap = 384
	}
	args := []string{
		fmt.Sprintf("-Xmx%dm", heap), "-Xms96m", "-XX:+UseSerialGC", "-XX:-UsePerfData",
		"-Djava.awt.headless=true",
		"-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
		"-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.utils.AppInfoParser=error",
		"-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaConfig=warn",
		"-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn",
	}
	if !o.Optimise {
		args = append(args, "-XX:TieredStopAtLevel=1")
	}
	return append(args, o.JVM...)
}

// ports are a broker's listeners; wan and sasl are 0 where there is none.
type ports struct {
	plain, controller, sasl, wan int
}

// properties writes the server's properties, sorted by name.
func (o Options) properties(p ports, data string) string {
	listeners := []string{"PLAINTEXT://" + lab.Loopback(p.plain)}
	if !o.place.follows {
		listeners = append(listeners, "CONTROLLER://"+lab.Loopback(p.controller))
	}
	advertised := []string{"PLAINTEXT://" + lab.Loopback(p.plain)}
	if p.sasl != 0 {
		listeners = append(listeners, "SASL://"+lab.Loopback(p.sasl))
		advertised = append(advertised, "SASL://"+lab.Loopback(p.sasl))
	}
	if p.wan != 0 {
		listeners = append(listeners, "WAN://"+lab.Loopback(p.wan))
		advertised = append(advertised, "WAN://"+o.WAN.Addr())
	}
	all := singleNode()
	all["controller.quorum.voters"] = "1@" + lab.Loopback(p.controller)
	if o.place.voters != "" {
		o.join(all)
	}
	all["listeners"] = strings.Join(listeners, ",")
	all["advertised.listeners"] = strings.Join(advertised, ",")
	all["log.dirs"] = data
	if o.Authorizer {
		all["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
		all["super.users"] = "User:ANONYMOUS"
		all["sasl.enabled.mechanisms"] = "PLAIN"
		all["listener.name.sasl.plain.sasl.jaas.config"] = o.jaas()
	}
	if o.WANUsers {
		all["listener.security.protocol.map"] = "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,WAN:SASL_PLAINTEXT"
		all["listener.name.wan.plain.sasl.jaas.config"] = o.jaas()
	}
	if o.crashed && o.place.voters == "" {
		// The controller refuses a broker's new incarnation until the session of the killed one has ended
		// (9 s by default), although both died together.
		all["broker.session.timeout.ms"], all["broker.heartbeat.interval.ms"] = "1500", "250"
	}
	if o.Optimise {
		// What is measured may have more threads.
		all["num.network.threads"], all["num.io.threads"] = "2", "4"
	}
	maps.Copy(all, o.Properties)
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s=%s\n", k, strings.ReplaceAll(all[k], `\`, `\\`))
	}
	return b.String()
}

// join makes the properties those of one broker of several.
func (o Options) join(all map[string]string) {
	all["node.id"] = strconv.Itoa(o.place.id())
	all["controller.quorum.voters"] = o.place.voters
	if o.place.follows {
		all["process.roles"] = "broker"
	}
	replicas, insync := strconv.Itoa(max(o.Replication, 1)), strconv.Itoa(max(o.MinInsync, 1))
	all["default.replication.factor"], all["min.insync.replicas"] = replicas, insync
	for _, topic := range []string{"offsets.topic.", "transaction.state.log.", "share.coordinator.state.topic."} {
		all[topic+"replication.factor"] = replicas
	}
	for _, topic := range []string{"transaction.state.log.", "share.coordinator.state.topic."} {
		all[topic+"min.isr"] = insync
	}
	// A broker that was killed is known to be gone after that time; by default after 9 s.
	all["broker.session.timeout.ms"], all["broker.heartbeat.interval.ms"] = "3000", "500"
}

// jaas names the users of the SASL listener.
func (o Options) jaas() string {
	var b strings.Builder
	b.WriteString("org.apache.kafka.common.security.plain.PlainLoginModule required")
	for _, name := range slices.Sorted(maps.Keys(o.Users)) {
		fmt.Fprintf(&b, " user_%s=%q", name, o.Users[name])
	}
	return b.String() + ";"
}

// singleNode are the properties of a small server that is its own and only controller.
func singleNode() map[string]string {
	return map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        "1",
		"controller.listener.names":      "CONTROLLER",
		"inter.broker.listener.name":     "PLAINTEXT",
		"listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,WAN:PLAINTEXT",
		"auto.create.topics.enable":      "false",
		"num.partitions":                 "1",
		// Every thread that waits looks a few times a second, and each listener has its own: an idle broker wakes a fifth less often.
		"num.network.threads":                              "1",
		"num.io.threads":                                   "2",
		"group.coordinator.threads":                        "1",
		"background.threads":                               "2",
		"offsets.topic.replication.factor":                 "1",
		"offsets.topic.num.partitions":                     "1",
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"transaction.state.log.num.partitions":             "1",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
		"group.initial.rebalance.delay.ms":                 "0",
		"log.cleaner.dedupe.buffer.size":                   "10485760",
		"log.cleaner.backoff.ms":                           "500",
		"log.retention.check.interval.ms":                  "5000",
		// An idle controller writes an empty record twice a second, for followers; this one has none.
		"metadata.max.idle.interval.ms": "0",
	}
}
