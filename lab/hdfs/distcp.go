package hdfs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

// DistCp is a run of Hadoop's own copier, as it is.
type DistCp struct {
	// Dir gets configuration, log and temporary files.
	Dir string
	// Access is that of the cluster which relative paths mean; others are named by URIs. Its user runs the job.
	Access Access
	// YARN runs the job; the JVM of the client itself does when nil, with as many maps side by side as Maps says.
	YARN *YARN
	Maps int
	// Properties override what the above give.
	Properties map[string]string
	// Args are DistCp's own arguments.
	Args []string
	// Optimise lets the client's JVM use its optimising compiler: for benchmarks.
	Optimise bool
}

// DistCpResult is what came of it.
type DistCpResult struct {
	// Status is DistCp's own; 0 is success.
	Status int
	// Took and CPU leave the start of the JVM out; CPU is the client's alone.
	Took, CPU time.Duration
	// Log is the path of what it printed.
	Log string
}

// Run runs it to its end. An error means that it could not be run; what DistCp thinks of the outcome is its status.
func (d DistCp) Run(ctx context.Context) (DistCpResult, error) {
	in, jars, err := yarnInstalled(ctx)
	if err != nil {
		return DistCpResult{}, err
	}
	// What loads classes from jars is as it is where people run it: a comparison is with that.
	if !d.Optimise {
		if in, err = in.archivedYARN(ctx, jars); err != nil {
			return DistCpResult{}, err
		}
	}
	return d.run(ctx, in)
}

func (d DistCp) run(ctx context.Context, in install) (DistCpResult, error) {
	conf := filepath.Join(d.Dir, "conf")
	if err := d.configure(conf); err != nil {
		return DistCpResult{}, err
	}
	result := DistCpResult{Log: filepath.Join(d.Dir, "distcp.log")}
	j := jvm{heapMB: 512, optimise: d.Optimise, archive: yarnArchive}
	if in.lists != "" {
		j.more = append(j.more, in.listed())
	}
	args := append(in.args(j, conf), copyClass)
	p, err := lab.Start(lab.Command{
		Name: "distcp", Path: in.jdk.Java(), Args: append(args, d.Args...),
		Env: []string{"HADOOP_USER_NAME=" + d.Access.User}, Dir: d.Dir, Log: result.Log,
	})
	if err != nil {
		return DistCpResult{}, err
	}
	ended := regexp.MustCompile(`(?m)^lab: ENDED status (-?\d+) ns (\d+) cpu (\d+)$`)
	if err := p.WaitLog(ctx, ended); err != nil {
		return result, errors.Join(err, p.Kill())
	}
	<-p.Done()
	b, err := os.ReadFile(result.Log)
	if err != nil {
		return result, err
	}
	all := ended.FindAllStringSubmatch(string(b), -1)
	last := all[len(all)-1]
	_, err = fmt.Sscan(last[1]+" "+last[2]+" "+last[3], &result.Status, (*int64)(&result.Took), (*int64)(&result.CPU))
	return result, err
}

// configure writes the files that the client reads.
func (d DistCp) configure(dir string) error {
	p := maps.Clone(d.Access.Properties)
	p["hadoop.tmp.dir"] = filepath.Join(d.Dir, "tmp")
	job := map[string]string{"mapreduce.framework.name": "local", "mapreduce.local.map.tasks.maximum": fmt.Sprint(max(1, d.Maps))}
	if d.YARN != nil {
		job = d.YARN.Properties()
	}
	for name, value := range d.Properties {
		delete(p, name)
		delete(job, name)
		p[name] = value
	}
	if err := writeSite(dir, p); err != nil {
		return err
	}
	for _, file := range []string{"yarn-site.xml", "mapred-site.xml"} {
		if err := writeProperties(filepath.Join(dir, file), job); err != nil {
			return err
		}
	}
	return nil
}
