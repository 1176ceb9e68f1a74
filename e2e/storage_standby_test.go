package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	slash "path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab/hdfs"
)

// standbyStory is one tree from its first copy over the loss of its region until it is home again and released.
type standbyStory struct {
	*grove
	// version is that of the hot files, crowd how often the many small ones were written.
	version int
	load    []written
	lost    []written
}

// crowdFiles are so many that a run lasts long enough to be killed in its middle.
const crowdFiles = 100

// standbySecondary tells the story of the article's heading "standby secondary".
func standbySecondary(t *testing.T, l *lake) {
	s := &standbyStory{grove: l.plant(t, "contoso", "/data/curated")}
	for _, act := range []struct {
		name string
		play func()
	}{
		{"protect", s.protect},
		{"runs that are killed", s.killedRuns},
		{"the region is lost", s.loseRegion},
		{"the old primary returns", s.returnFenced},
		{"reprotect", s.reprotect},
		{"failback", s.comeHome},
		{"verify", s.verify},
		{"unprotect", s.leave},
	} {
		begun := time.Now()
		act.play()
		t.Logf("--- %s: %v", act.name, time.Since(begun).Round(100*time.Millisecond))
		if t.Failed() {
			t.Fatalf("it went wrong at: %s", act.name)
		}
	}
}

// change writes a new version of the hot files and of the crowd, in one go.
func (s *standbyStory) change() {
	s.t.Helper()
	s.version++
	files := s.hot(s.version)
	for i := range crowdFiles {
		files = append(files, s.file(fmt.Sprintf("crowd/d%d/f%d", i%5, i), int64(i)*200, s.version*1000+i))
	}
	s.puts(s.lake.east, files...)
}

// applies applies the sites and the plan, with further lines.
func (s *standbyStory) applies(more string) {
	s.p.apply(treeSite("east", s.lake.east, "") + treeSite("west", s.lake.west, "") + s.treePlan("standby-secondary", "every 4h") + more)
}

func (s *standbyStory) protect() {
	s.change()
	s.puts(s.lake.east, s.file("first/d0/big", 5<<20, 1), s.file("first/d1/a", 10, 2), s.file("first/d1/b", 0, 3), s.file("first/d2/c", 70000, 4))
	s.p = s.serve(s.t, "")
	s.applies("")
	s.tell(s.p.report("protect", s.plan))
	w := s.settled()
	if !w.Exposure.Known || w.Links[0].Schedule.Next.Before(time.Now()) {
		s.t.Errorf("exposure %+v, schedule %+v", w.Exposure, w.Links[0].Schedule)
	}
	s.same()
	s.denied(s.lake.west)
}

// killedRuns kills serve in the middle of copying and in the middle of showing, under the eyes of a reader and of the
// NameNode's own record of every edit.
func (s *standbyStory) killedRuns() {
	t, west := s.t, s.lake.west
	before := s.dump(west)
	since, err := s.judge.Mark(t.Context(), west.Access())
	must(t, err)
	readers := s.watch(west, s.version)
	// Held back, a run is still copying when it is looked at, however quick the disks are.
	s.applies("    bandwidth: [{ from: \"00:00\", to: \"00:00\", limit: 400kB }]\n")
	cut := 0
	for _, changes := range []func(){
		func() {
			must(t, s.judge.Rename(t.Context(), as(s.lake.east), s.root+"/first/d1", s.root+"/first/moved"))
			must(t, s.judge.Remove(t.Context(), as(s.lake.east), s.root+"/first/d2/c"))
		},
		func() {
			must(t, s.judge.Rename(t.Context(), as(s.lake.east), s.root+"/first/moved/a", s.root+"/first/d0/a"))
			s.puts(s.lake.east, s.file("second/e", 123456, 5))
		},
	} {
		changes()
		s.change()
		cut += s.killedRun(readers)
		s.same()
	}
	if cut == 0 {
		t.Error("no kill hit a set that was being shown")
	}
	s.applies("")
	must(t, s.judge.Remove(t.Context(), as(s.lake.east), s.root+"/first/d0/big"))
	s.replicate()
	now := s.same()
	readers.end(t)
	if missing := s.gone(west, before, since, now); len(missing) > 0 {
		t.Errorf("files were missing at the target:\n%s", some(missing))
	}
}

// killedRun is one run of replication through three kills: while it copies, as it begins to show the set, and when a
// reader has seen something new. It gives how many paths the kills left to be shown.
func (s *standbyStory) killedRun(readers *watcher) (left int) {
	t := s.t
	op := s.p.begin("replicate", s.plan)
	ours := slash.Dir(s.root) + "/." + slash.Base(s.root) + ".understudy"
	every(t, blink, patience, "something is staged", func() error {
		all, err := s.below(t.Context(), s.lake.west, ours)
		must(t, err)
		staged := len(slices.DeleteFunc(all, func(p string) bool { return !strings.Contains(p, "/staging/") }))
		if staged < 3 {
			return fmt.Errorf("%d paths are staged", staged)
		}
		s.p.kill()
		t.Logf("killed with %d paths staged", staged)
		return nil
	})
	s.p.revive()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, s.p.watch(ctx, op.ID, 0, func(v eventView) bool { return v.Kind == "intent" && v.Step != nil && v.Step.Kind == "publish" }))
	s.p.kill()
	left = s.unshown()
	s.p.revive()
	select {
	case <-readers.fresh:
		s.p.kill()
		left += s.unshown()
		s.p.revive()
	case <-ctx.Done():
		t.Fatal("no reader sees the new set")
	}
	if end := s.p.rested(op.ID); end.State != "committed" {
		t.Fatalf("the run that was killed is %+v, error %+v", end, end.Error)
	}
	return left
}

// unshown tells how many paths differ while nothing runs; what differs in its bytes does so in its times.
func (s *standbyStory) unshown() int {
	s.t.Helper()
	n := len(s.list(s.lake.east).Diff(s.list(s.lake.west), 10000))
	s.t.Logf("killed while %d paths were still to be shown", n)
	return n
}

// loseRegion kills the primary after writes that no run has taken, and fails over.
func (s *standbyStory) loseRegion() {
	t := s.t
	load := s.writes(s.lake.east, "load")
	load.more(t, 10)
	s.replicate()
	load.more(t, 30)
	s.load = load.end()
	must(t, s.lake.east.Kill())
	confirmed := []string{"failover", s.plan, "--confirm", s.plan, "--accept-fence", "FA", "--as", "ada"}
	refusal := s.p.refused(5, append(confirmed, "--max-loss", "1ms")...)
	t.Logf("refused above the highest loss: %s %s", refusal.Code, refusal.Why)
	if _, v := s.p.status(s.plan); v.Current == nil {
		t.Fatal("the refused failover is not shown")
	} else {
		s.p.run("abort", v.Current.ID)
		s.p.rested(v.Current.ID)
	}
	r := s.p.report(append(confirmed, "--max-loss", "10m")...)
	r.times(t)
	claimed := r.Loss[0].Rebound
	var span time.Duration
	s.lost, span = lostOf(t, s.load, s.dump(s.lake.west), claimed.Safe)
	if claimed.Bound < span || len(s.lost) == 0 {
		t.Errorf("claimed exposure %v, realised loss %v of %d files", claimed.Bound, span, len(s.lost))
	}
	s.takenOver(r, len(s.lost), span)
	if now := s.rootOf(s.lake.west); !strings.HasPrefix(now, appUser+" 0750") || !strings.Contains(now, "user:"+guestUser+":r-x") {
		t.Errorf("the new primary's root is %s", now)
	}
	s.puts(s.lake.west, s.file("new/n1", 5000, 7), s.file("new/n2", 0, 8), s.file("first/moved/b", 77, 9))
	must(t, s.judge.Remove(t.Context(), as(s.lake.west), s.root+"/second/e"))
	s.p.report("commit", s.plan)
}

// takenOver tells the figures of a failover as the drill record has them.
func (g *grove) takenOver(r reportView, lost int, span time.Duration) {
	g.t.Helper()
	g.t.Logf("claimed bound %v, realised loss %v (%d files)", r.Loss[0].Rebound.Bound, span, lost)
	x := r.RTO
	g.t.Logf("RTO %v = detect %v + confirm %v + approve %v + fence %v + promote %v + verify %v; route %v",
		x.Total, x.Detect, x.Confirm, x.Approve, x.Fence, x.Promote, x.Verify, x.Route)
}

// returnFenced boots the old primary, which is fenced before anybody asks.
func (s *standbyStory) returnFenced() {
	must(s.t, s.lake.east.Restart(s.t.Context()))
	back := time.Now()
	w := s.p.await(s.plan, "the old primary is fenced", func(w workloadView, _ statusView) bool {
		return len(w.Old) == 1 && w.Old[0].State == "fenced" && w.Old[0].Proof != nil
	})
	proof := w.Old[0].Proof
	if !proof.Complete || proof.Level != "F2" || !slices.Contains(proof.CouldPass, hdfs.Superuser) {
		s.t.Errorf("the proof of the fence is %+v", proof)
	}
	s.t.Logf("fenced %v after its start: %s", time.Since(back).Round(time.Millisecond), proof.Means)
	s.denied(s.lake.east)
}

// reprotect makes the old primary the secondary by the difference, and compares the ledger with what was lost.
func (s *standbyStory) reprotect() {
	r := s.p.report("reprotect", s.plan, "--confirm", s.plan)
	s.tell(r)
	s.sameLedger(s.p.run("ledger", "export", s.plan, "curated", r.Operation.ID).stdout)
	s.settled()
	s.same()
	s.denied(s.lake.east)
}

// sameLedger wants the ledger to list every lost file and no other, but for one that was open when the set was
// captured: what the west has of it may be all of it, and bears another time.
func (s *standbyStory) sameLedger(ledger string) {
	t := s.t
	left, open := map[string]bool{}, 0
	for _, w := range s.lost {
		left[strings.TrimPrefix(w.path, s.root+"/")] = true
	}
	for line := range strings.Lines(ledger) {
		var x struct {
			Path string `json:"path"`
			How  string `json:"how"`
			Kind string `json:"kind"`
		}
		must(t, json.Unmarshal([]byte(line), &x))
		switch {
		case left[x.Path] && (x.How == "foreign" || x.How == "altered"):
			delete(left, x.Path)
		case x.How == "altered" && strings.HasPrefix(x.Path, "load/") && open == 0:
			open++
		case x.Kind != "directory":
			t.Errorf("the ledger has %s", line)
		}
	}
	if len(left) > 0 {
		t.Errorf("the ledger lacks %d lost files:\n%s", len(left), ledger)
	}
	t.Logf("the ledger lists the %d lost files", len(s.lost))
}

// comeHome switches back under a writer, who is refused at some moment and loses nothing.
func (s *standbyStory) comeHome() {
	t := s.t
	load := s.writes(s.lake.west, "back")
	load.more(t, 10)
	r := s.p.report("failback", s.plan, "--confirm", s.plan)
	r.times(t)
	<-load.done
	acked := load.end()
	now := s.same()
	if lost, _ := lostOf(t, acked, now, time.Time{}); len(lost) > 0 {
		t.Errorf("the failback lost %d of %d acknowledged files", len(lost), len(acked))
	}
	t.Logf("failback under load: %d acknowledged, 0 lost, refused with %v; %v without writes", len(acked), load.refused, r.RTO.Fence+r.RTO.Promote+r.RTO.Verify)
	s.denied(s.lake.west)
	s.puts(s.lake.east, s.file("home/h", 999, 11))
	s.p.report("commit", s.plan)
	s.settled()
	s.replicate()
	s.same()
}

// verify is green, red when one byte at the target is another with the same size and time, and green again.
func (s *standbyStory) verify() {
	victim := s.root + "/" + hotName(0)
	s.p.run("verify", s.plan)
	s.lastByte(victim, '!')
	o := s.p.try("verify", s.plan)
	if o.status != 10 || !strings.Contains(o.stdout+o.errs, hotName(0)) {
		s.t.Errorf("a flipped byte: %v", o)
	}
	s.lastByte(victim, s.hot(s.version)[0].Data[hotSize-1])
	s.p.run("verify", s.plan)
	s.same()
}

// lastByte changes the last byte of a file in the west, and leaves all else as it was.
func (s *standbyStory) lastByte(file string, to byte) {
	s.t.Helper()
	ctx, west := s.t.Context(), s.lake.west.Access()
	tree, err := s.judge.List(ctx, west, file)
	must(s.t, err)
	e, _ := tree.Find(file)
	must(s.t, s.judge.Truncate(ctx, west, file, e.Length-1))
	// HDFS cuts a block in its own time, and keeps the file from writers until then.
	eventually(s.t, patience, "the file takes a byte", func() error {
		return s.judge.Put(ctx, west, hdfs.File{Path: file, Data: []byte{to}, Append: true})
	})
	must(s.t, s.judge.Set(ctx, west, file, hdfs.Attributes{MTime: &e.MTime}))
}

// leave unprotects: nothing of understudy's is left but what its runs deleted, which waits in the quarantine.
func (s *standbyStory) leave() {
	t := s.t
	s.p.report("unprotect", s.plan, "--confirm", s.plan)
	for _, c := range []*hdfs.Cluster{s.lake.east, s.lake.west} {
		if snapshots, err := s.below(t.Context(), c, s.root+"/.snapshot"); err != nil || len(snapshots) > 0 {
			t.Errorf("snapshots in the %s: %v, %v", c.Name(), snapshots, err)
		}
		if now := s.rootOf(c); !strings.HasPrefix(now, appUser+" 0750") || !strings.Contains(now, "user:"+guestUser+":r-x") {
			t.Errorf("the root in the %s is %s", c.Name(), now)
		}
		left, err := s.below(t.Context(), c, slash.Dir(s.root))
		must(t, err)
		for _, p := range left {
			if strings.Contains(p, ".understudy/") && (slash.Base(p) == "stamp.json" || slash.Base(p) == "staging" || slash.Base(p) == "kept") {
				t.Errorf("left in the %s: %s", c.Name(), p)
			}
		}
		s.puts(c, s.file("after", 1, 1))
	}
}
