package kafka_test

import (
	"context"
	"fmt"
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

// many is the number of topics of an ordinary large estate; the race detector makes clients and simulator ten times
// slower, so it looks at fewer.
func many() int {
	if raced {
		return 400
	}
	return 2000
}

// TestThousandsOfTopics brings a workload of two thousand topics over and home again, through control.
func TestThousandsOfTopics(t *testing.T) {
	th, names := crowded(t, many())
	e := story{}.estate(t, th)
	e.Setup.Plan.Workloads[0].Config = &kafka.Config{Topics: []string{`topic-\d+`}}
	var weight controltest.Weight
	e.Setup.Hooks = weight.Hooks()
	p := controltest.Start(t, e.Setup)
	p.Apply()
	some := []string{names[0], names[len(names)/2], names[len(names)-1]}
	write := func(site understudy.Site, value string) {
		for _, name := range some {
			mustLoad(t, load(t, client(t, th.plain(site)), name, 1, 10, value))
		}
	}
	do := func(verb understudy.Verb, want control.State) {
		t.Helper()
		began := time.Now()
		op := p.Do(control.StartRequest{Verb: verb}, want)
		t.Logf("%s took %v; %s\n\t%s", verb, time.Since(began).Round(time.Millisecond), weight.Take(), spent(t, p, op.ID))
	}
	rest := func() {
		t.Helper()
		began := time.Now()
		keptUp(t, p)
		t.Logf("the link kept up after %v; %s", time.Since(began).Round(time.Millisecond), weight.Take())
	}
	write(east, "a")
	do(understudy.Protect, control.Committed)
	rest()
	do(understudy.Switchover, control.CommitWindow)
	write(west, "b")
	do(understudy.Commit, control.Committed)
	rest()
	do(understudy.Failback, control.CommitWindow)
	write(east, "c")
	do(understudy.Commit, control.Committed)
	rest()
	for _, name := range some {
		if n := len(rows(t, th.east, name)); n != 30 {
			t.Errorf("%s has %d records at home, not 30", name, n)
		}
		if n := len(rows(t, th.west, name)); n != 20 && n != 30 {
			t.Errorf("%s has %d records on the secondary", name, n)
		}
	}
	if role := p.Role("orders"); !role.IsActive(east) {
		t.Errorf("the role is %s", role)
	}
	listed, err := kadm.NewClient(client(t, th.west)).ListTopics(t.Context(), names...)
	if err != nil || len(listed) != len(names) || listed.Error() != nil {
		t.Errorf("%d topics on the secondary: %v, %v", len(listed), err, listed.Error())
	}
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
