package kafka_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload/kafka"
	"github.com/understudy-dr/understudy/workload/kafka/kafkasim"
)

// many is the number of topics of an ordinary large estate, or UNDERSTUDY_TOPICS; the race detector makes clients and
// simulator ten times slower, so it looks at fewer.
func many() int {
	if raced {
		return wanted(fewRaced)
	}
	return wanted(2000)
}

// fewRaced is as many as the race detector looks at: more than are told of one by one in a stored progress.
const fewRaced = 120

// wanted is UNDERSTUDY_TOPICS, or otherwise as many as are looked at every time.
func wanted(ordinary int) int {
	if n, err := strconv.Atoi(os.Getenv("UNDERSTUDY_TOPICS")); err == nil {
		return n
	}
	return ordinary
}

// crowd is an estate of many topics under control.
type crowd struct {
	t      *testing.T
	th     theatre
	p      *controltest.Plane
	names  []string
	some   []string
	weight controltest.Weight
	// secondary asks west.
	secondary *kadm.Client
}

func newCrowd(t *testing.T, n int) *crowd {
	t.Helper()
	c := &crowd{t: t}
	c.th, c.names = crowded(t, n)
	c.some = []string{c.names[0], c.names[len(c.names)/2], c.names[len(c.names)-1]}
	e := story{}.estate(t, c.th)
	e.Setup.Plan.Workloads[0].Config = &kafka.Config{Topics: []string{`topic-\d+`}}
	e.Setup.Hooks = c.weight.Hooks()
	c.p = controltest.Start(t, e.Setup)
	c.p.Apply()
	c.secondary = kadm.NewClient(client(t, c.th.west))
	return c
}

// write writes ten records into each of the topics.
func (c *crowd) write(site understudy.Site, value string, names ...string) {
	c.t.Helper()
	cl := client(c.t, c.th.plain(site))
	for _, name := range names {
		mustLoad(c.t, load(c.t, cl, name, 1, 10, value))
	}
}

// do runs an operation to the state, and tells how long its stages took and what was written.
func (c *crowd) do(req control.StartRequest, want control.State) control.Operation {
	c.t.Helper()
	began := time.Now()
	op := c.p.Do(req, want)
	c.t.Logf("%s took %v; %s\n\t%s", req.Verb, time.Since(began).Round(time.Millisecond), c.weight.Take(), spent(c.t, c.p, op.ID))
	return op
}

// rest waits until the link keeps up.
func (c *crowd) rest() {
	c.t.Helper()
	began := time.Now()
	keptUp(c.t, c.p)
	c.t.Logf("the link kept up after %v; %s", time.Since(began).Round(time.Millisecond), c.weight.Take())
}

// TestThousandsOfTopics brings a workload of two thousand topics over and home again, through control.
func TestThousandsOfTopics(t *testing.T) {
	c := newCrowd(t, many())
	c.write(east, "a", c.some...)
	c.do(control.StartRequest{Verb: understudy.Protect}, control.Committed)
	c.rest()
	c.do(control.StartRequest{Verb: understudy.Switchover}, control.CommitWindow)
	c.write(west, "b", c.some...)
	c.do(control.StartRequest{Verb: understudy.Commit}, control.Committed)
	c.rest()
	c.do(control.StartRequest{Verb: understudy.Failback}, control.CommitWindow)
	c.write(east, "c", c.some...)
	c.do(control.StartRequest{Verb: understudy.Commit}, control.Committed)
	c.rest()
	for _, name := range c.some {
		if n := len(rows(t, c.th.east, name)); n != 30 {
			t.Errorf("%s has %d records at home, not 30", name, n)
		}
		if n := len(rows(t, c.th.west, name)); n != 20 && n != 30 {
			t.Errorf("%s has %d records on the secondary", name, n)
		}
	}
	if role := c.p.Role("orders"); !role.IsActive(east) {
		t.Errorf("the role is %s", role)
	}
	c.wantAll(west)
}

// wantAll wants every topic at a site.
func (c *crowd) wantAll(site understudy.Site) {
	c.t.Helper()
	listed, err := kadm.NewClient(client(c.t, c.th.plain(site))).ListTopics(c.t.Context(), c.names...)
	if err != nil || len(listed) != len(c.names) || listed.Error() != nil {
		c.t.Errorf("%d topics at %s: %v, %v", len(listed), site, err, listed.Error())
	}
}

// TestThousandsOfTopicsLoseTheirRegion fails a workload of many topics over (2,000 with UNDERSTUDY_TOPICS=2000), saves
// what some of them had at the old primary only, and brings that back as the secondary. With UNDERSTUDY_LOSE_ALL=1 all of
// them had something. It was written while the secondary was away; what the mover had read of it may still come over
// before the halt.
func TestThousandsOfTopicsLoseTheirRegion(t *testing.T) {
	n := wanted(400)
	if raced {
		n = wanted(fewRaced)
	}
	c := newCrowd(t, n)
	losing := c.some
	if os.Getenv("UNDERSTUDY_LOSE_ALL") != "" {
		losing = c.names
	}
	c.do(control.StartRequest{Verb: understudy.Protect}, control.Committed)
	c.write(east, "a", losing...)
	c.copied(int64(10 * len(losing)))
	c.th.kill(west)
	c.write(east, "lost", losing...)
	c.th.kill(east)
	c.th.restart(west)
	c.do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, control.CommitWindow)
	lost := int64(21*len(losing)) - c.ends(losing) // the halt marker of each comes behind what was copied
	c.write(west, "new", c.some...)
	c.do(control.StartRequest{Verb: understudy.Commit}, control.Committed)
	c.th.restart(east)
	c.fenced()
	op := c.do(control.StartRequest{Verb: understudy.Reprotect}, control.Committed)
	c.rest()
	r, err := c.p.Report(t.Context(), op.ID)
	if err != nil || len(r.Ledger) != 1 || r.Ledger[0].Records != lost {
		t.Errorf("not one ledger of %d records: %+v, %v", lost, r.Ledger, err)
	}
	for _, name := range c.some {
		if here, there := rows(t, c.th.west, name), rows(t, c.th.east, name); len(here) < 20 || !slices.Equal(here, there) {
			t.Errorf("%s: %d records at the primary, %d on the secondary", name, len(here), len(there))
		}
	}
	c.wantAll(east)
}

// copied waits until the secondary has as many records.
func (c *crowd) copied(want int64) {
	c.t.Helper()
	eventually(c.t, "the secondary has what was written", func() bool { return c.ends(c.names) == want })
}

// ends adds up the ends of topics on the secondary.
func (c *crowd) ends(names []string) int64 {
	c.t.Helper()
	ends, err := c.secondary.ListEndOffsets(c.t.Context(), names...)
	if err != nil {
		c.t.Fatal(err)
	}
	sum := int64(0)
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	return sum
}

// fenced waits until the old primary was met.
func (c *crowd) fenced() {
	c.t.Helper()
	began := time.Now()
	eventually(c.t, "the old primary is fenced", func() bool {
		s, err := c.p.Status(c.t.Context(), "contoso")
		return err == nil && len(s.Workloads[0].Old) == 1 && s.Workloads[0].Old[0].State == "fenced"
	})
	c.t.Logf("the old primary was fenced after %v; %s", time.Since(began).Round(time.Millisecond), c.weight.Take())
}

// crowded starts two simulated clusters, the first of them with n topics.
func crowded(t *testing.T, n int) (theatre, []string) {
	t.Helper()
	topics, names := map[string]int32{}, make([]string, 0, n)
	for i := range n {
		names = append(names, fmt.Sprintf("topic-%05d", i))
		topics[names[i]] = 1
	}
	all := map[understudy.Site]*kafkasim.Cluster{}
	for site, topics := range map[understudy.Site]map[string]int32{east: topics, west: nil} {
		c, err := kafkasim.Start(kafkasim.Options{ClusterID: string(site) + "-id", Topics: topics})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		all[site] = c
	}
	return theatre{
		at:   endpoints{east: {Brokers: []string{all[east].Addr()}}, west: {Brokers: []string{all[west].Addr()}}},
		east: all[east].Addr(), west: all[west].Addr(),
		kill: func(s understudy.Site) { all[s].Kill() },
		restart: func(s understudy.Site) {
			if err := all[s].Restart(); err != nil {
				t.Fatal(err)
			}
		},
	}, names
}

// keptUp waits until the plan's link is protected.
func keptUp(t *testing.T, p *controltest.Plane) {
	t.Helper()
	for {
		s, err := p.Status(context.Background(), "contoso")
		if err != nil {
			t.Fatal(err)
		}
		if s.Workloads[0].Protection == understudy.Protected {
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("the link never kept up: %v", s.Workloads[0].Protection)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// spent says how long the stages of an operation took.
func spent(t *testing.T, p *controltest.Plane, id understudy.OperationID) string {
	t.Helper()
	r, err := p.Report(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range r.Stages {
		took := fmt.Sprintf("%s %v", s.Name, s.Ended.Sub(s.Began).Round(time.Millisecond))
		for _, step := range s.Steps {
			took += fmt.Sprintf(" %s=%v", step.Step.Kind, step.Ended.Sub(step.Began).Round(time.Millisecond))
		}
		out = append(out, took)
	}
	return strings.Join(out, "\n\t")
}
