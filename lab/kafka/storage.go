package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/understudy-dr/understudy/lab"
)

// metaFile names the cluster in a data directory; a directory that has it is formatted.
const metaFile = "meta.properties"

// cleanFile is there between a broker's orderly end and its next start.
const cleanFile = ".kafka_cleanshutdown"

// crashed says whether the data directory was in use by a broker that did not end in good order.
func crashed(data string) bool {
	if _, err := os.Stat(filepath.Join(data, metaFile)); err != nil {
		return false
	}
	_, err := os.Stat(filepath.Join(data, cleanFile))
	return err != nil
}

// chooseClusterID is that of the data in the directory, the one asked for, or a new one. Asking for another
// than the data's is an error.
func chooseClusterID(o Options) (string, error) {
	b, err := os.ReadFile(filepath.Join(o.Dir, "data", metaFile))
	if errors.Is(err, fs.ErrNotExist) {
		return cmp.Or(o.ClusterID, NewClusterID()), nil
	}
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		id, ok := strings.CutPrefix(strings.TrimSpace(line), "cluster.id=")
		switch {
		case !ok:
		case o.ClusterID != "" && o.ClusterID != id:
			return "", fmt.Errorf("%s holds data of cluster %s, not of %s", o.Dir, id, o.ClusterID)
		default:
			return id, nil
		}
	}
	return "", fmt.Errorf("%s names no cluster in %s", o.Dir, metaFile)
}

// format prepares an empty data directory. Kafka's own tool takes a JVM start of a second to do so; what it
// writes names cluster and node only in one small file, so its work is done once per version and copied.
func format(ctx context.Context, in install, data, clusterID string, node int) error {
	if _, err := os.Stat(filepath.Join(data, metaFile)); err == nil {
		return nil
	}
	template, err := lab.Cached(ctx, filepath.Join("storage", "kafka-"+in.version), func(ctx context.Context, path string) error {
		return runStorageTool(ctx, in, path)
	})
	if err != nil {
		return err
	}
	if err := os.CopyFS(data, os.DirFS(template)); err != nil {
		return fmt.Errorf("copy the formatted storage: %w", err)
	}
	meta := fmt.Sprintf("version=1\nnode.id=%d\ncluster.id=%s\ndirectory.id=%s\n", node, clusterID, NewClusterID())
	path := filepath.Join(data, metaFile)
	if err := os.Remove(path); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(meta), 0o644)
}

// runStorageTool lets Kafka format a directory for a server like ours.
func runStorageTool(ctx context.Context, in install, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file := dir + ".properties"
	defer func() { _ = os.Remove(file) }()
	o := Options{Version: in.version}
	if err := os.WriteFile(file, []byte(o.properties(ports{plain: 9092, controller: 9093}, dir)), 0o644); err != nil {
		return err
	}
	args := append(o.jvmArgs(), "-cp", in.classpath, "kafka.tools.StorageTool", "format", "-t", NewClusterID(), "-c", file)
	if out, err := exec.CommandContext(ctx, in.jdk.Java(), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("format storage: %w: %s", err, out)
	}
	return nil
}
