package distcp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest/scenery"
	"github.com/understudy-dr/understudy/filecopy/native"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/lab/proxy"
)

// stock runs Hadoop's own DistCp, as it is.
func (c *court) stock(from, to string, args ...string) {
	c.Helper()
	c.stockOver(c.sites[1].Addr(), from, to, args...)
}

// stockOver goes to the target's NameNode by another address.
func (c *court) stockOver(target, from, to string, args ...string) {
	c.Helper()
	run := labhdfs.DistCp{Dir: c.TempDir(), Access: c.sites[1].Access(), Maps: 2}
	run.Args = append(args, "hdfs://"+c.sites[0].Addr()+from, "hdfs://"+target+to)
	result, err := run.Run(c.Context())
	c.must(err)
	if result.Status != 0 {
		c.Fatalf("distcp: status %d, see %s", result.Status, result.Log)
	}
}

// paths lists what a tree of the target holds.
func (c *court) paths(root string) []string {
	c.Helper()
	tree, err := c.judge.List(c.Context(), c.sites[1].Access(), root)
	c.must(err)
	return tree.Paths()
}

// gaps gives the times in which a reader of the target could have missed a file, while do ran.
func (c *court) gaps(root string, do func()) []labhdfs.Gap {
	c.Helper()
	before := c.paths(root)
	mark, err := c.judge.Mark(c.Context(), c.sites[1].Access())
	c.must(err)
	do()
	events, err := c.judge.Events(c.Context(), c.sites[1].Access(), mark)
	c.must(err)
	return labhdfs.Gaps(before, events, root)
}

// TestHolesOfDistCp shows three holes of DistCp as it is (content of equal size that is not compared, the file that is absent while it is replaced, and the
// source that was emptied), and that they are closed where DistCp only brings what we plan, prove and publish. No test shows that it compares what is visible
// already, nor that it fails on other block sizes.
func TestHolesOfDistCp(t *testing.T) {
	t.Parallel()
	c := open(t, false)
	theirs := c.to + "-by-distcp"
	c.must(c.wires[1].Mkdirs(t.Context(), theirs, 0o755))
	write := func(seed int64) {
		c.Helper()
		for i := range 3 {
			path := fmt.Sprintf("%s/f%d", c.from, i)
			c.must(c.judge.Put(t.Context(), c.sites[0].Access(), labhdfs.File{Path: path + ".new", Size: 3000, Seed: seed + int64(i)}))
			// With an old time, as files have that were restored or moved here: DistCp copies what is newer than its copy.
			c.must(c.wires[0].SetTimes(t.Context(), path+".new", time.Unix(seed, 0), time.Time{}))
			c.must(c.judge.Replace(t.Context(), c.sites[0].Access(), path+".new", path))
		}
	}
	write(1)
	for i := range 3 {
		c.must(c.judge.Put(t.Context(), c.sites[1].Access(), labhdfs.File{Path: fmt.Sprintf("%s/f%d", theirs, i), Size: 3000, Seed: int64(1 + i)}))
	}
	if _, err := native.New(c.data).Run(t.Context(), c.job, nil); err != nil {
		t.Fatal(err)
	}

	// Replaced content of equal size, with the check that users switch off between unlike clusters.
	write(10)
	c.stock(c.from, theirs, "-update", "-skipcrccheck")
	if got := c.content(1, theirs+"/f1"); got == c.content(0, c.from+"/f1") {
		t.Error("DistCp copied a file of equal size without comparing checksums")
	}

	// An unlink and a rename for each file, with nothing in between, as the NameNode and whoever reads see it.
	c.unlinks(theirs, write)

	// A source that lost everything.
	for i := range 3 {
		c.must(c.judge.Remove(t.Context(), c.sites[0].Access(), fmt.Sprintf("%s/f%d", c.from, i)))
	}
	c.stock(c.from, theirs, "-update", "-delete")
	if left := c.paths(theirs); len(left) > 1 {
		t.Errorf("DistCp left %v", left)
	}
	_, err := c.try()
	var e *understudy.Error
	if !errors.As(err, &e) || e.Code != "US604" || len(c.paths(c.to)) < 4 {
		t.Errorf("error = %v, want US604; the target has %v", err, c.paths(c.to))
	}
}

// unlinks has both replace the three files under the eyes of a reader and of the NameNode. Between regions DistCp's unlink and its rename are a
// round trip apart: it is made longer until a reader who is slow today looks in between.
func (c *court) unlinks(theirs string, write func(int64)) {
	c.Helper()
	far, err := proxy.Listen("127.0.0.1:0")
	c.must(err)
	c.Cleanup(func() { c.must(far.Close()) })
	far.Forward(c.sites[1].Addr())
	var missed []string
	seed := int64(20)
	for way := 100 * time.Millisecond; len(missed) == 0 && way < 2*time.Second; way *= 4 {
		far.Set(proxy.Shape{Out: way, Back: way})
		write(seed)
		stop := c.watch(theirs)
		if gaps := c.gaps(theirs, func() { c.stockOver(far.Addr(), c.from, theirs, "-update") }); len(gaps) == 0 {
			c.Error("DistCp replaced a file in one step")
		}
		var reads int
		reads, missed = stop()
		c.Logf("over %v, in %d reads: %q", 2*way, reads, missed)
		seed += 10
	}
	if len(missed) == 0 || !strings.Contains(missed[0], "is not there") {
		c.Errorf("a reader of what DistCp replaces missed nothing: %q", missed)
	}
	stop := c.watch(c.to)
	if gaps := c.gaps(c.to, func() { c.run() }); len(gaps) != 0 {
		c.Errorf("a reader could have missed %v", gaps)
	}
	if reads, faults := stop(); len(faults) > 0 {
		c.Errorf("in %d reads of what we replaced: %q", reads, faults)
	}
}

// watch reads the three files of a tree of the target by Hadoop's own client: each must be what it was, and then what the source has.
func (c *court) watch(root string) (stop func() (reads int, faults []string)) {
	c.Helper()
	paths := []string{"f0", "f1", "f2"}
	course := scenery.Course{Scenes: []scenery.Scene{{}, {}}, Sets: true}
	for i, dir := range []string{root, c.from} {
		for _, p := range paths {
			course.Scenes[i][p] = scenery.Shown{Digest: scenery.Digest(c.content(1-i, dir+"/"+p))}
		}
	}
	w := scenery.Look(1, paths, func(ctx context.Context, path string) (string, error) {
		b, err := c.judge.Read(ctx, c.sites[1].Access(), root+"/"+path)
		if e := (*labhdfs.ClientError)(nil); errors.As(err, &e) && e.Class == "FileNotFoundException" {
			err = scenery.ErrAbsent
		}
		return string(b), err
	})
	return func() (int, []string) { return w.Stop(), course.Faults(w) }
}

// content reads a file by Hadoop's own client.
func (c *court) content(site int, path string) string {
	c.Helper()
	b, err := c.judge.Read(c.Context(), c.sites[site].Access(), path)
	c.must(err)
	return string(b)
}
