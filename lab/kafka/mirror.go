package kafka

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

// mirrorStop bounds MirrorMaker's orderly end, which is slow.
const mirrorStop = 20 * time.Second

// mirrorJars are MirrorMaker 2 with the clients of its own version.
func mirrorJars() lab.Jars {
	return lab.Jars{Name: "mirrormaker-" + MirrorVersion, Artifacts: []lab.Artifact{
		{Group: "org.apache.kafka", Name: "connect-mirror", Version: MirrorVersion},
		{Group: "org.slf4j", Name: "slf4j-simple", Version: "1.7.36"},
	}}
}

// FetchMirror brings MirrorMaker 2 into the cache.
func FetchMirror(ctx context.Context) error {
	_, err := mirrorJars().Fetch(ctx)
	return err
}

// MirrorOptions says what MirrorMaker 2 copies, in its dedicated mode, from a cluster it calls primary to one
// it calls secondary.
type MirrorOptions struct {
	// Dir holds properties and log.
	Dir string
	// Source and Target are host:port of plain listeners.
	Source, Target string
	// Topics is a regular expression.
	Topics string
	// Properties override the recipe's, such as tasks.max, secondary.producer.compression.type.
	Properties map[string]string
	// HeapMB is the largest Java heap; 512 when 0.
	HeapMB int
	// Optimise lets the JVM use its optimising compiler: for benchmarks.
	Optimise bool
}

// Mirror is a running MirrorMaker 2, for comparisons.
type Mirror struct {
	process *lab.Process
}

// StartMirror starts MirrorMaker 2 and returns at once: its first record takes it some seconds. Topics
// arrive as primary.NAME. Close it.
func StartMirror(ctx context.Context, o MirrorOptions) (*Mirror, error) {
	jdk, err := lab.Java()
	if err != nil {
		return nil, err
	}
	classpath, err := mirrorJars().Classpath(ctx)
	if err != nil {
		return nil, fmt.Errorf("jars of MirrorMaker %s: %w", MirrorVersion, err)
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	file := filepath.Join(o.Dir, "mirror.properties")
	if err := os.WriteFile(file, []byte(o.properties()), 0o644); err != nil {
		return nil, err
	}
	heap := o.HeapMB
	if heap == 0 {
		heap = 512
	}
	args := Options{HeapMB: heap, Optimise: o.Optimise}.jvmArgs()
	p, err := lab.Start(lab.Command{
		Name: "mirrormaker",
		Path: jdk.Java(),
		Args: append(args, "-cp", classpath, "org.apache.kafka.connect.mirror.MirrorMaker", file),
		Dir:  o.Dir,
		Log:  filepath.Join(o.Dir, "mirror.log"),
	})
	if err != nil {
		return nil, err
	}
	return &Mirror{process: p}, nil
}

// properties are those of one direction between two single-node clusters.
func (o MirrorOptions) properties() string {
	all := map[string]string{
		"clusters":                                   "primary,secondary",
		"primary.bootstrap.servers":                  o.Source,
		"secondary.bootstrap.servers":                o.Target,
		"primary->secondary.enabled":                 "true",
		"primary->secondary.topics":                  o.Topics,
		"secondary->primary.enabled":                 "false",
		"secondary->primary.emit.heartbeats.enabled": "false",
		"refresh.topics.interval.seconds":            "5",
		"dedicated.mode.enable.internal.rest":        "false",
	}
	for _, topic := range []string{"", "checkpoints.topic.", "heartbeats.topic.", "offset-syncs.topic.", "offset.storage.", "status.storage.", "config.storage."} {
		all[topic+"replication.factor"] = "1"
	}
	maps.Copy(all, o.Properties)
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s=%s\n", k, all[k])
	}
	return b.String()
}

// PID is the process id.
func (m *Mirror) PID() int { return m.process.PID() }

// Log is the path of the log.
func (m *Mirror) Log() string { return m.process.Log() }

// Done is closed when the process has ended.
func (m *Mirror) Done() <-chan struct{} { return m.process.Done() }

// Close ends MirrorMaker in good order, or kills it when that takes too long.
func (m *Mirror) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), mirrorStop)
	defer cancel()
	return m.process.Stop(ctx)
}
