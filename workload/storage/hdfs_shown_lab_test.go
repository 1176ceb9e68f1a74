package storage_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/native"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
	"github.com/understudy-dr/understudy/workload/storage"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// showJob names what the parent tells the process that shows a set until it is killed.
const showJob = "UNDERSTUDY_SHOW_JOB"

// showing is a ready set in a folder of a tree, and after how many changes that readers see no further one is made.
type showing struct {
	Names    []string
	Kerberos wire.Kerberos
	Folder   string
	Job      string
	Dir      string
	Changes  int
}

// shown are the calls of a store after which readers see something else.
func shown(call string) bool {
	return slices.Contains([]string{"move", "publish", "reveal", "retire"}, call)
}

// TestKilledChild is the process that is killed; on its own it does nothing.
func TestKilledChild(t *testing.T) {
	text := os.Getenv(showJob)
	if text == "" {
		return
	}
	var s showing
	must(t, json.Unmarshal([]byte(text), &s))
	site := place.HDFS(place.HDFSConfig{
		Login: place.Login{Kerberos: &s.Kerberos, Keytab: us}, Options: wire.Options{NameNodes: s.Names},
		Secret: func(context.Context, string) ([]byte, error) { return os.ReadFile(s.Kerberos.Keytab) },
	})
	defer site.Close()
	store, err := site.Tree(root).Store(t.Context(), s.Folder, false)
	must(t, err)
	var mu sync.Mutex
	n := 0
	say := func(call string) {
		mu.Lock()
		defer mu.Unlock()
		if !shown(call) {
			return
		}
		if n++; n > s.Changes {
			// Whoever calls after this one waits too, for the end.
			fmt.Printf("reached %s\n", call)
			<-t.Context().Done()
		}
	}
	_, err = native.New(s.Dir).Finish(t.Context(), filecopy.Job{
		Name: s.Job, LeaveRoot: true, Target: filecopytest.Telling(store, say), Guard: filecopy.Guard{MaxDeletes: 1000, MaxShare: 1},
	}, nil)
	must(t, err)
}

// halfShown makes a set with renames, deletes, replacements and a new directory ready at west, and kills a process -9 in the middle of showing it.
// It gives the tree that the set was made of.
func (c *court) halfShown() (of labhdfs.Tree) {
	c.Helper()
	c.must(c.judge.Rename(c.Context(), c.app(east), root+"/more/d0", root+"/more/renamed"))
	for _, gone := range []string{"/more/d2/f2", "/more/d3", "/first/d2/f5"} {
		c.must(c.judge.Remove(c.Context(), c.app(east), root+gone))
	}
	c.puts(east, "half", 6)
	for i, p := range []string{"/first/d0/f3", "/more/renamed/f4", "/more/d1/f1"} {
		c.must(c.judge.Put(c.Context(), c.app(east), labhdfs.File{Path: root + p, Size: 5000, Seed: int64(900 + i)}))
	}
	of = c.bare(east)
	was := c.bare(west)
	folder := c.makesReady()
	// A rename, eight files, a new directory, and three deletes.
	const changes = 1 + 9 + 1 + 3
	n := 1 + rand.IntN(changes-1)
	login := *c.kerberos()
	login.DataProtection = wire.Privacy
	text, err := json.Marshal(showing{
		Names: c.clusters[west].Addrs(), Kerberos: login, Folder: folder, Job: "contoso.curated.east.west", Dir: c.TempDir(), Changes: n,
	})
	c.must(err)
	self, err := os.Executable()
	c.must(err)
	child := exec.Command(self, "-test.run=^TestKilledChild$")
	child.Env = append(os.Environ(), showJob+"="+string(text))
	out, err := child.StdoutPipe()
	c.must(err)
	c.must(child.Start())
	lines := bufio.NewScanner(out)
	var said []string
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "reached ") {
		said = append(said, lines.Text())
	}
	reached := lines.Text()
	_ = child.Process.Kill()
	// The exit status of a process that was killed says nothing.
	_ = child.Wait()
	if reached == "" {
		c.Fatalf("it came to its end:\n%s", strings.Join(said, "\n"))
	}
	now := c.bare(west)
	c.Logf("killed after %d of %d changes, %s: %d paths are still to be shown", n, changes, reached, len(of.Diff(now, 1000)))
	if len(of.Diff(now, 1)) == 0 || len(was.Diff(now, 1)) == 0 {
		c.Error("the set is not shown in part")
	}
	return of
}

// makesReady runs the steps that come before showing a set, and gives the folder in which it is staged.
func (c *court) makesReady() (folder string) {
	c.Helper()
	w := c.opened(east, func(*storage.HDFS) {})
	role := c.plane.Role("curated")
	run := understudy.Run{
		Operation: "op-half", Verb: understudy.Replicate, ControlPlane: "cp-1", Now: role,
		Lease: understudy.Lease{Deadline: func() time.Time { return time.Now().Add(time.Hour) }},
		Role:  func(context.Context) (understudy.Role, error) { return role, nil },
	}
	for _, stage := range []understudy.StageName{understudy.StageCapture, understudy.StageCopy, understudy.StageProve} {
		obs, err := w.Observe(c.Context())
		c.must(err)
		steps, err := w.Decide(understudy.Stage{
			Name: stage, Operation: run.Operation, Verb: run.Verb, Workload: "curated", Plan: "contoso", ControlPlane: "cp-1",
			Before: role, Now: role, After: role, Old: east, To: west,
		}, obs)
		c.must(err)
		for _, s := range steps {
			_, err := w.Do(c.Context(), s, run)
			c.must(err)
		}
	}
	return fmt.Sprintf("e%d", role.Epoch)
}

// bare is a tree as Hadoop's client sees it, without its root.
func (c *court) bare(s understudy.Site) labhdfs.Tree {
	c.Helper()
	tree, err := c.judge.Dump(c.Context(), c.as(s), root)
	c.must(err)
	tree.Entries = slices.DeleteFunc(tree.Entries, func(e labhdfs.Entry) bool { return e.Path == root })
	return tree
}

// foretold gives what a failover says beforehand that it will do to what is staged, by site, and wants it to change nothing.
func foretold(t *testing.T, p *controltest.Plane) (salvage, halt string) {
	t.Helper()
	started, err := p.Start(t.Context(), control.StartRequest{
		Plan: "contoso", Verb: understudy.Failover, DryRun: true, AcceptFence: []understudy.Site{east}, By: "ada",
	})
	must(t, err)
	if started.DryRun == nil || started.Operation != nil {
		t.Fatalf("a dry run began %+v", started)
	}
	text := map[understudy.StageName]string{}
	for _, stage := range started.DryRun.Stages {
		for _, s := range stage.Steps {
			text[stage.Name] += s.Step.Summary + "\n"
		}
	}
	return text[understudy.StageSalvage], text[understudy.StageHalt]
}
