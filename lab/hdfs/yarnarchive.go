package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/understudy-dr/understudy/lab"
)

// yarnArchive is one class data archive for all JVMs of YARN: daemons, containers, and clients that run DistCp.
const yarnArchive = "yarn.jsa"

// archivedYARN adds YARN's class data archive, and makes it the first time by a rehearsal. jars is the directory of the jars.
func (in install) archivedYARN(ctx context.Context, jars string) (install, error) {
	entry := filepath.Join("archives", fmt.Sprintf("yarn-%s-%s-java-%s", Version, in.sum, in.jdk.Release))
	path, err := lab.Cached(ctx, entry, func(ctx context.Context, path string) error {
		return rehearseYARN(ctx, in, jars, path)
	})
	if err != nil {
		return install{}, err
	}
	in.archives = path
	return in, nil
}

// rehearseYARN lets all JVMs of YARN write down the classes that they load, and makes one archive of these. An archive
// that a JVM writes at its end would hold the classes of one kind of JVM only, and containers are killed at their ends.
func rehearseYARN(ctx context.Context, in install, jars, archives string) error {
	if err := os.MkdirAll(archives, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "understudy-lab-rehearsal-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	c, err := Start(ctx, Options{Name: "rehearsal", Dir: dir, DataNodes: 1})
	if err != nil {
		return err
	}
	in.lists = filepath.Join(dir, "lists")
	if err := os.MkdirAll(in.lists, 0o755); err != nil {
		return errors.Join(err, c.Close())
	}
	if err := errors.Join(rehearseJobs(ctx, in, jars, c), c.Close()); err != nil {
		return err
	}
	return in.dump(ctx, filepath.Join(archives, yarnArchive))
}

// dump makes an archive of all classes that are written down.
func (in install) dump(ctx context.Context, archive string) error {
	list := in.lists + ".merged"
	if err := mergeLists(in.lists, list); err != nil {
		return err
	}
	// G1 alone can put the JDK's own objects into an archive; every collector can read them.
	out, err := exec.CommandContext(ctx, in.jdk.Java(), "-Xshare:dump", "-XX:+UseG1GC", "-Xlog:cds=error,cds+heap=error", "-Xmx512m",
		"-XX:SharedClassListFile="+list, "-XX:SharedArchiveFile="+archive, "-cp", in.classpath).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make the class data archive %s: %w: %s", filepath.Base(archive), err, out[:min(len(out), 2000)])
	}
	return nil
}

// rehearseJobs runs DistCp with its map in a container of its own, and asks what tests ask.
func rehearseJobs(ctx context.Context, in install, jars string, c *Cluster) (err error) {
	y, err := startYARN(ctx, in, jars, c, YARNOptions{Dir: filepath.Join(c.opts.Dir, "yarn")})
	if err != nil {
		return err
	}
	// Whoever ends in good order has written down everything.
	defer func() {
		for _, n := range y.nodes {
			err = errors.Join(err, n.Stop(ctx))
		}
		err = errors.Join(err, y.Close())
	}()
	j, err := NewClient(ctx, c.opts.Dir, nil)
	if err != nil {
		return err
	}
	if err := errors.Join(j.Put(ctx, c.Access(), File{Path: "/from/a", Size: 1000}), j.Close()); err != nil {
		return err
	}
	run := DistCp{Dir: filepath.Join(c.opts.Dir, "distcp"), Access: c.Access(), YARN: y, Args: []string{"-pugpbt", "-m", "1", "/from", "/to"}}
	result, err := run.run(ctx, in)
	if err != nil {
		return fmt.Errorf("rehearse DistCp: %w", err)
	}
	if result.Status != 0 {
		return fmt.Errorf("rehearse DistCp: it ended with status %d", result.Status)
	}
	for _, url := range []string{y.HTTP() + "/ws/v1/cluster/apps", y.HistoryHTTP() + "/ws/v1/history/mapreduce/jobs"} {
		if err := visit(ctx, "http://"+url); err != nil {
			return err
		}
	}
	return nil
}

// visit reads a page.
func visit(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// mergeLists makes one list of what several JVMs loaded: classes by name, and behind them the lambdas. Each JVM numbers its
// classes in its own way; only those of loaders other than Java's own need the numbers, and these are left out.
func mergeLists(dir, to string) error {
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return err
	}
	classes, lambdas := make(map[string]bool), make(map[string]bool)
	for _, file := range found {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		// What follows the last line's end was being written when the JVM was killed.
		for line := range strings.Lines(string(b)) {
			line, whole := strings.CutSuffix(line, "\n")
			switch {
			case !whole || strings.HasPrefix(line, "#") || strings.Contains(line, " source:"):
			case strings.HasPrefix(line, "@"):
				lambdas[line] = true
			default:
				name, _, _ := strings.Cut(line, " ")
				classes[name] = true
			}
		}
	}
	all := append(slices.Sorted(maps.Keys(classes)), slices.Sorted(maps.Keys(lambdas))...)
	return os.WriteFile(to, []byte(strings.Join(all, "\n")+"\n"), 0o644)
}
