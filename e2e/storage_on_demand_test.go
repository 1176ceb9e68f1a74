package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// provider makes and removes the west's HDFS for the customer's command, a script that hands every order on and waits
// for the answer. The storage of the cluster stays.
type provider struct {
	*lake
	script string
	orders *os.File
	mu     sync.Mutex
	there  bool
	log    []string
	// making is told when the cluster is being made, before anything is done.
	making chan struct{}
	done   chan struct{}
}

// customer is the command: it knows how to ask, and nothing of clusters.
const customer = `#!/bin/sh
set -e
read -r order
answer="%[1]s/answer.$$"
rm -f "$answer"
printf '%%s %%s\n' "$answer" "$order" > %[1]s/orders
while [ ! -f "$answer" ]; do sleep 0.1; done
cat "$answer"
rm -f "$answer"
`

// provide stops the west and stands ready to make it again.
func (l *lake) provide(t *testing.T) *provider {
	t.Helper()
	dir := folder(t)
	p := &provider{lake: l, script: filepath.Join(dir, "lake"), making: make(chan struct{}, 100), done: make(chan struct{})}
	must(t, os.WriteFile(p.script, fmt.Appendf(nil, customer, dir), 0o700))
	must(t, syscall.Mkfifo(filepath.Join(dir, "orders"), 0o600))
	var err error
	p.orders, err = os.OpenFile(filepath.Join(dir, "orders"), os.O_RDWR, 0)
	must(t, err)
	must(t, l.west.Stop(t.Context()))
	go func() {
		defer close(p.done)
		lines := bufio.NewScanner(p.orders)
		for lines.Scan() {
			p.obey(lines.Text())
		}
	}()
	t.Cleanup(func() {
		must(t, p.orders.Close())
		<-p.done
	})
	return p
}

// obey does what one order says and answers.
func (p *provider) obey(line string) {
	answer, order, _ := strings.Cut(line, " ")
	var o struct {
		Action, Size string
	}
	err := json.Unmarshal([]byte(order), &o)
	p.note(strings.TrimSpace(o.Action + " " + o.Size))
	ctx := context.Background()
	switch {
	case err != nil:
	case o.Action == "make":
		p.making <- struct{}{}
		if !p.west.Running() {
			err = p.west.Restart(ctx)
		}
	case o.Action == "remove":
		err = p.west.Stop(ctx)
	}
	state := "absent"
	if p.west.Running() {
		state = "present"
	}
	p.mu.Lock()
	p.there = state == "present"
	p.mu.Unlock()
	said := fmt.Sprintf(`{"state": %q, "note": "asked to %s"}`, state, o.Action)
	if err != nil {
		said = err.Error()
	}
	// The command waits for the file by its name, so it gets it whole.
	if err := os.WriteFile(answer+".new", []byte(said), 0o600); err != nil {
		p.note(err.Error())
	}
	if err := os.Rename(answer+".new", answer); err != nil {
		p.note(err.Error())
	}
}

func (p *provider) note(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, s)
}

// asked gives what was asked for since the last call, in order, and whether the cluster is there.
func (p *provider) asked() (orders string, there bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	orders = strings.Join(p.log, ", ")
	p.log = nil
	return orders, p.there
}

// demandStory is a tree whose secondary exists only while a run needs it.
type demandStory struct {
	*grove
	by *provider
}

// onDemandSecondary tells the story of the article's heading "on-demand secondary".
func onDemandSecondary(t *testing.T, l *lake) {
	s := &demandStory{grove: l.plant(t, "fabrikam", "/data/jars"), by: l.provide(t)}
	for _, act := range []struct {
		name string
		play func()
	}{
		{"protect", s.protect},
		{"a run by schedule, killed while the cluster is made", s.scheduled},
		{"the region is lost", s.loseRegion},
		{"reprotect and failback", s.comeHome},
	} {
		begun := time.Now()
		act.play()
		t.Logf("--- %s: %v", act.name, time.Since(begun).Round(100*time.Millisecond))
		if t.Failed() {
			t.Fatalf("it went wrong at: %s", act.name)
		}
	}
}

// documents are the sites and the plan with a schedule.
func (s *demandStory) documents(schedule string) string {
	return treeSite("east", s.lake.east, "") + treeSite("west", s.lake.west, "    provision: start-lake\n") + s.treePlan("on-demand-secondary", schedule)
}

func (s *demandStory) protect() {
	for i := range 12 {
		s.puts(s.lake.east, s.file(fmt.Sprintf("lib/j%d.jar", i), int64(i*i)*3000, i))
	}
	s.p = s.serve(s.t, fmt.Sprintf("provisioners: { start-lake: { exec: [%s] } }\n", s.by.script))
	s.p.apply(s.documents("every 4h"))
	s.tell(s.p.report("protect", s.plan))
	s.absent("make run")
	w := s.settled()
	if !w.Exposure.Known {
		s.t.Errorf("the exposure is %+v", w.Exposure)
	}
}

// absent wants the cluster to have been made and removed, and status to say what it is: absent, as planned.
func (s *demandStory) absent(made string) {
	s.t.Helper()
	orders, there := s.by.asked()
	if there || !strings.Contains(orders, made) || !strings.HasSuffix(orders, "remove") {
		s.t.Errorf("the provisioner was asked to %s; the cluster is there: %v", orders, there)
	}
	w, _ := s.p.status(s.plan)
	if len(w.Clusters) != 1 || w.Clusters[0].Site != "west" || w.Clusters[0].State != "absent by plan" || !protected(w, statusView{}) {
		s.t.Errorf("between runs the clusters are %+v, and it is %s", w.Clusters, w.Protection)
	}
	d := decode[doctorView](s.t, s.p.try("doctor", s.plan))
	if west := d.Workloads[0].Sites["west"]; west.Presence != "absent" || west.Error != nil {
		s.t.Errorf("doctor says of the west: %+v", west)
	}
}

// scheduled lets a run come by its schedule, and kills serve while the cluster is being made for it.
func (s *demandStory) scheduled() {
	t := s.t
	for len(s.by.making) > 0 {
		<-s.by.making
	}
	s.puts(s.lake.east, s.file("lib/new.jar", 200000, 99))
	must(t, s.judge.Remove(t.Context(), as(s.lake.east), s.root+"/lib/j3.jar"))
	must(t, s.judge.Rename(t.Context(), as(s.lake.east), s.root+"/lib/j4.jar", s.root+"/lib/renamed.jar"))
	// The one moment of the day that comes next.
	due := time.Now().UTC().Add(5 * time.Second).Truncate(time.Minute).Add(time.Minute)
	s.p.apply(s.documents(fmt.Sprintf("%d %d * * *", due.Minute(), due.Hour())))
	select {
	case <-s.by.making:
	case <-time.After(2 * patience):
		t.Fatal("no run came by its schedule")
	}
	s.p.kill()
	s.p.revive()
	w := s.p.await(s.plan, "the run by schedule has ended", func(w workloadView, v statusView) bool {
		return len(w.Links) == 1 && w.Links[0].Schedule != nil && w.Links[0].Schedule.State == "committed" && v.Current == nil
	})
	r := s.p.report("report", w.Links[0].Schedule.Run)
	s.tell(r)
	if r.Operation.By != "schedule" {
		t.Errorf("the run was started by %q", r.Operation.By)
	}
	s.absent("make run")
}

// loseRegion loses the east while the west is absent: the failover makes it, and promotes it.
func (s *demandStory) loseRegion() {
	t := s.t
	want := s.dump(s.lake.east)
	s.puts(s.lake.east, s.file("lib/lost.jar", 10, 1))
	wrote := time.Now()
	must(t, s.lake.east.Kill())
	r := s.p.report("failover", s.plan, "--confirm", s.plan, "--accept-fence", "FA", "--as", "ada", "--max-loss", "10m")
	r.times(t)
	if orders, there := s.by.asked(); !there || !strings.Contains(orders, "make service") || strings.Contains(orders, "remove") {
		t.Errorf("the provisioner was asked to %s; the cluster is there: %v", orders, there)
	}
	if d := want.Diff(s.dump(s.lake.west), 10); d != nil {
		t.Errorf("the east as it was published here, the west there:\n%s", strings.Join(d, "\n"))
	}
	if claimed := r.Loss[0].Rebound; wrote.Before(claimed.Safe) || claimed.Bound <= 0 {
		t.Errorf("claimed safe until %v, lost what was written at %v", claimed.Safe, wrote)
	}
	s.takenOver(r, 1, 0)
	s.puts(s.lake.west, s.file("lib/west.jar", 100, 5))
	s.p.report("commit", s.plan)
	must(t, s.lake.east.Restart(t.Context()))
	s.p.await(s.plan, "the old primary is fenced", func(w workloadView, _ statusView) bool {
		return len(w.Old) == 1 && w.Old[0].State == "fenced"
	})
	s.denied(s.lake.east)
}

// comeHome makes the east the secondary, and then the primary again. The west stays for as long as it is the primary, and then is there on demand.
func (s *demandStory) comeHome() {
	t := s.t
	r := s.p.report("reprotect", s.plan, "--confirm", s.plan)
	s.tell(r)
	if ledger := s.p.run("ledger", "export", s.plan, "curated", r.Operation.ID).stdout; !strings.Contains(ledger, `"lib/lost.jar"`) {
		t.Errorf("the ledger is %s", ledger)
	}
	s.settled()
	want := s.same()
	s.denied(s.lake.east)
	if orders, there := s.by.asked(); !there || strings.Contains(orders, "remove") {
		t.Errorf("the provisioner was asked to %s; the primary is there: %v", orders, there)
	}
	s.p.report("failback", s.plan, "--confirm", s.plan)
	if d := want.Diff(s.dump(s.lake.east), 10); d != nil {
		t.Errorf("the west as it was here, the east there:\n%s", strings.Join(d, "\n"))
	}
	s.puts(s.lake.east, s.file("lib/home.jar", 100, 6))
	s.p.report("commit", s.plan)
	s.settled()
	if orders, there := s.by.asked(); there || !strings.HasSuffix(orders, "remove") {
		t.Errorf("on the way home the provisioner was asked to %s; the cluster is there: %v", orders, there)
	}
}
