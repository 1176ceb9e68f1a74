package distcp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"strconv"
	"strings"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/offload/yarn"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

const (
	// fileMode and dirMode are those of a job's files: nobody else reads them.
	fileMode = 0o600
	dirMode  = 0o700
	// unlimited is a bandwidth in MB/s that no map reaches.
	unlimited = "100000"
	megabyte  = 1 << 20
	// listBuffer is how much of a listing is written at once.
	listBuffer = 256 << 10
)

// jobDir is where MapReduce wants the files of a job, and where its application master keeps others.
func (t *trip) jobDir() string {
	return path.Join(t.Staging, t.User, ".staging", yarn.JobID(t.memo.Application))
}

// write writes all files of the job, over those of an earlier try under the same id, and gives the job.
func (t *trip) write(ctx context.Context) (yarn.MapReduce, error) {
	dir := t.jobDir()
	meta := path.Join(dir, "_distcp")
	if err := t.Files.Mkdirs(ctx, meta, dirMode); err != nil {
		return yarn.MapReduce{}, err
	}
	listing := path.Join(meta, "fileList.seq")
	pieces, err := t.writeListing(ctx, listing)
	if err != nil {
		return yarn.MapReduce{}, err
	}
	content, metainfo := splits(t.FilesURI+listing, pieces)
	settings, err := configuration(t.properties(dir, meta, listing, len(pieces)))
	if err != nil {
		return yarn.MapReduce{}, err
	}
	m := yarn.MapReduce{
		ID: t.memo.Application, Queue: t.Queue, Attempts: t.Attempts, MemoryMB: t.MasterMB, Options: t.Options, Classpath: t.Classpath,
		Name: t.jobName(), Tags: []string{t.lotTag(), t.loadTag(), fmt.Sprintf("understudy-attempt-%d", t.memo.Attempt)},
	}
	for _, f := range []struct {
		name    string
		content []byte
		to      *yarn.File
	}{{"job.split", content, &m.Split}, {"job.splitmetainfo", metainfo, &m.SplitMeta}, {"job.xml", settings, &m.Configuration}} {
		if *f.to, err = t.put(ctx, path.Join(dir, f.name), f.content); err != nil {
			return m, err
		}
	}
	return m, nil
}

// jobName is what people read.
func (t *trip) jobName() string {
	return strings.Join(strings.Fields(fmt.Sprintf("understudy %s %s attempt %d", t.Label, t.load.Lot, t.memo.Attempt)), " ")
}

// writeListing writes what there is to copy, and cuts it into the pieces of the maps.
func (t *trip) writeListing(ctx context.Context, name string) ([]split, error) {
	w, err := t.create(ctx, name)
	if err != nil {
		return nil, err
	}
	pieces, err := t.list(ctx, w)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	return pieces, nil
}

func (t *trip) list(ctx context.Context, to io.Writer) ([]split, error) {
	var mark [syncSize]byte
	if _, err := rand.Read(mark[:]); err != nil {
		return nil, err
	}
	out := bufio.NewWriterSize(to, listBuffer)
	s, err := newSequence(out, mark)
	if err != nil {
		return nil, err
	}
	root := t.target.BerthRoot(t.load.Lot)
	cut := newCutter(t.load.Files, t.load.Bytes, t.Choice.Maps)
	err = t.load.Each(ctx, func(e filecopy.Entry, h filecopy.Handle) error {
		berth, err := t.target.BerthPath(h)
		if err != nil {
			return err
		}
		below, ok := strings.CutPrefix(berth, root)
		if !ok {
			return fmt.Errorf("the berth %q is not one of %q", berth, root)
		}
		cut.file(s.size, e.Size)
		return s.add(below, t.SourceURI+t.source.SourcePath(t.load.Pin, e.Path), e)
	})
	if err == nil {
		err = out.Flush()
	}
	return cut.done(s.size), err
}

func (t *trip) create(ctx context.Context, name string) (*hdfs.FileWriter, error) {
	return t.Files.Create(ctx, name, hdfs.CreateOptions{Overwrite: true, Mode: fileMode})
}

// put writes a small file, and describes it as YARN wants it.
func (t *trip) put(ctx context.Context, name string, content []byte) (yarn.File, error) {
	w, err := t.create(ctx, name)
	if err != nil {
		return yarn.File{}, err
	}
	_, err = io.Copy(struct{ io.Writer }{w}, bytes.NewReader(content))
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return yarn.File{}, errors.Join(err, w.Abort())
	}
	info, err := t.Files.Stat(ctx, name)
	if err != nil {
		return yarn.File{}, err
	}
	return yarn.File{URL: t.FilesURI + name, Size: info.Length, Modified: info.ModTime.UnixMilli()}, nil
}

// properties are those of job.xml.
func (t *trip) properties(dir, meta, listing string, pieces int) map[string]string {
	const text = "org.apache.hadoop.io.Text"
	work := t.TargetURI + t.target.BerthRoot(t.load.Lot)
	ours := map[string]string{
		"fs.defaultFS":                                t.FilesURI,
		"mapreduce.framework.name":                    "yarn",
		"mapreduce.job.name":                          t.jobName(),
		"mapreduce.job.user.name":                     t.User,
		"user.name":                                   t.User,
		"mapreduce.job.dir":                           t.FilesURI + dir,
		"yarn.app.mapreduce.am.staging-dir":           t.Staging,
		"mapreduce.job.maps":                          strconv.Itoa(pieces),
		"mapreduce.job.reduces":                       "0",
		"mapreduce.job.map.class":                     "org.apache.hadoop.tools.mapred.CopyMapper",
		"mapreduce.job.inputformat.class":             "org.apache.hadoop.tools.mapred.UniformSizeInputFormat",
		"mapreduce.job.outputformat.class":            "org.apache.hadoop.tools.mapred.CopyOutputFormat",
		"mapreduce.job.output.key.class":              text,
		"mapreduce.job.output.value.class":            text,
		"mapreduce.map.output.key.class":              text,
		"mapreduce.map.output.value.class":            text,
		"mapred.mapper.new-api":                       "true",
		"mapred.reducer.new-api":                      "true",
		"mapreduce.am.max-attempts":                   strconv.Itoa(t.Attempts),
		"mapreduce.output.fileoutputformat.outputdir": t.FilesURI + meta + "/_logs",
		"distcp.listing.file.path":                    t.FilesURI + listing,
		"distcp.meta.folder":                          t.FilesURI + meta,
		"distcp.target.work.path":                     work,
		"distcp.target.final.path":                    work,
		"distcp.target.path.exists":                   "true",
		"mapred.total.bytes.expected":                 strconv.FormatInt(t.load.Bytes, 10),
		"mapred.number.of.records":                    strconv.FormatInt(t.load.Files, 10),
		"distcp.map.bandwidth.mb":                     t.bandwidth(pieces),
		"dfs.checksum.combine.mode":                   "COMPOSITE_CRC",
		// Two attempts of one map would write one file side by side.
		"mapreduce.map.speculative": "false",
		// Each file is written where nobody looks, so no temporary name is needed; a map that is run again leaves alone what is
		// there with equal length, block size and checksum.
		"distcp.direct.write":    "true",
		"distcp.sync.folders":    "true",
		"distcp.preserve.status": "RB",
		// A file that vanished or cannot be read is seen when what was brought is proven; it must not fail all others.
		"distcp.ignore.failures": "true",
	}
	p := map[string]string{
		// Hadoop's client waits 400 ms whenever the NameNode has not yet heard of the last block.
		"dfs.client.block.write.locateFollowingBlock.initial.delay.ms": "5",
		"dfs.client.block.write.locateFollowingBlock.retries":          "12",
	}
	if t.MapMB > 0 {
		p["mapreduce.map.memory.mb"] = strconv.Itoa(t.MapMB)
		p["mapreduce.map.java.opts"] = fmt.Sprintf("-Xmx%dm", t.MapMB*2/3)
	}
	if t.Classpath != defaultClasspath {
		p["mapreduce.application.classpath"] = t.Classpath
	}
	maps.Copy(p, t.Properties)
	// Last: what makes the job copy what was planned, to where it was planned, and compare it, is nobody's to change.
	maps.Copy(p, ours)
	return p
}

// bandwidth gives a map its part of the job's limit, in MB/s.
func (t *trip) bandwidth(pieces int) string {
	if t.load.BytesPerSecond <= 0 {
		return unlimited
	}
	// DistCp refuses a bandwidth of nothing.
	return strconv.FormatFloat(max(0.001, float64(t.load.BytesPerSecond)/megabyte/float64(pieces)), 'f', 3, 64)
}

// tidy removes what a job that has ended left. Hadoop does so itself only for one that ended well.
func (t *trip) tidy(ctx context.Context, application string) error {
	dir := path.Join(t.Staging, t.User, ".staging", yarn.JobID(application))
	if err := t.Files.Delete(ctx, dir, true); err != nil && !hdfs.IsNotFound(err) {
		return err
	}
	return nil
}
