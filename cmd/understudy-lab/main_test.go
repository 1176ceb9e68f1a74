package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/understudy-dr/understudy/lab"
	"github.com/understudy-dr/understudy/lab/kafka"
)

// needKafka skips the test where no broker can be started.
func needKafka(t *testing.T, versions ...string) {
	t.Helper()
	for _, v := range versions {
		lab.Check(t, kafka.Fetch(t.Context(), v))
	}
}

// session is a running command whose input and output are in the test's hands.
type session struct {
	in      *io.PipeWriter
	out     *bufio.Scanner
	running sync.WaitGroup
	status  int
}

func start(t *testing.T, ctx context.Context, args ...string) *session {
	t.Helper()
	in, input := io.Pipe()
	output, out := io.Pipe()
	s := &session{in: input, out: bufio.NewScanner(output)}
	s.running.Go(func() {
		var messages bytes.Buffer
		s.status = run(ctx, args, streams{in: in, out: out, err: &messages})
		if messages.Len() > 0 {
			t.Log(messages.String())
		}
		out.Close()
		in.Close()
	})
	t.Cleanup(func() {
		input.Close()
		s.running.Wait()
	})
	return s
}

// line reads one JSON document.
func (s *session) line(t *testing.T, v any) {
	t.Helper()
	if !s.out.Scan() {
		t.Fatalf("no line: %v", s.out.Err())
	}
	if err := json.Unmarshal(s.out.Bytes(), v); err != nil {
		t.Fatalf("%q: %v", s.out.Bytes(), err)
	}
}

func TestKafkaRunsUntilItsInputEnds(t *testing.T) {
	needKafka(t, kafka.V44)
	s := start(t, t.Context(), "kafka", "--name", "a", "--authorizer", "--user", "app=secret", "--set", "num.partitions=3")
	var got server
	s.line(t, &got)
	if got.Name != "a" || got.Version != kafka.V44 || got.ClusterID == "" || got.SASL == "" || !got.Running {
		t.Errorf("it is %+v", got)
	}
	c, err := net.Dial("tcp", got.Addr)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	s.in.Close()
	s.running.Wait()
	if _, err := net.Dial("tcp", got.Addr); s.status != 0 || err == nil {
		t.Errorf("status %d, dial after the end: %v", s.status, err)
	}
}

func TestPairTakesOrders(t *testing.T) {
	needKafka(t, kafka.V39, kafka.V44)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := start(t, ctx, "pair", "--names", "left,right")
	var first answer
	s.line(t, &first)
	if len(first.Servers) != 2 || first.Servers[0].Name != "left" || first.Servers[1].Version != kafka.V44 || first.Servers[0].WAN == "" {
		t.Fatalf("the pair is %+v", first)
	}
	for _, step := range []struct {
		order, wrong string
		left, right  bool
	}{
		{`{"do":"kill","name":"left"}`, "", false, true},
		{`{"do":"start","name":"left"}`, "", true, true},
		{`{"do":"pause","name":"right"}`, "", true, true},
		{`{"do":"resume","name":"right"}`, "", true, true},
		{`{"do":"shape","name":"left","shape":{"outMs":10,"cut":true}}`, "", true, true},
		{`{"do":"shape","name":"left"}`, "needs a shape", true, true},
		{`{"do":"stop","name":"right"}`, "", true, false},
		{`{"do":"status"}`, "", true, false},
		{`{"do":"fly","name":"left"}`, "unknown order", true, false},
		{`{"do":"kill","name":"up"}`, "no server is called", true, false},
		{`kill left`, "", false, false},
		{`kill left now`, "an order is", false, false},
	} {
		if _, err := io.WriteString(s.in, step.order+"\n"); err != nil {
			t.Fatal(err)
		}
		var a answer
		s.line(t, &a)
		if a.Servers[0].Running != step.left || a.Servers[1].Running != step.right || !strings.Contains(a.Error, step.wrong) || (a.Error == "") != (step.wrong == "") {
			t.Errorf("%s: %+v", step.order, a)
		}
	}
	cancel()
	s.in.Close()
	s.running.Wait()
	if _, err := net.Dial("tcp", first.Servers[0].Addr); s.status != 0 || err == nil {
		t.Errorf("status %d, dial after the end: %v", s.status, err)
	}
}

func TestClusterTakesOrders(t *testing.T) {
	needKafka(t, kafka.V44)
	s := start(t, t.Context(), "cluster", "--name", "east", "--brokers", "2", "--replication", "2", "--min-insync", "1")
	var first answer
	s.line(t, &first)
	if len(first.Servers) != 2 || first.Servers[1].Name != "east-2" || first.Servers[0].ClusterID != first.Servers[1].ClusterID {
		t.Fatalf("the cluster is %+v", first)
	}
	for _, step := range []struct {
		order, wrong string
		second       bool
	}{
		{`kill east-2`, "", false},
		{`{"do":"start","name":"east-2"}`, "", true},
		{`stop east-3`, "no server is called", true},
	} {
		if _, err := io.WriteString(s.in, step.order+"\n"); err != nil {
			t.Fatal(err)
		}
		var a answer
		s.line(t, &a)
		if a.Servers[1].Running != step.second || !strings.Contains(a.Error, step.wrong) || (a.Error == "") != (step.wrong == "") {
			t.Errorf("%s: %+v", step.order, a)
		}
	}
	s.in.Close()
	s.running.Wait()
	if _, err := net.Dial("tcp", first.Servers[0].Addr); s.status != 0 || err == nil {
		t.Errorf("status %d, dial after the end: %v", s.status, err)
	}
}

func TestDumpPrintsWhatKafkaReads(t *testing.T) {
	b := kafka.Boot(t, kafka.Options{Version: kafka.V44})
	c := kafka.OpenClient(t, kafka.V44)
	if err := c.CreateTopics(t.Context(), b.Access(), kafka.Topic{Name: "t", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	p, err := c.Producer(t.Context(), b.Access(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Send(t.Context(), kafka.Out{Topic: "t", Timestamp: 7, Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	var out, messages bytes.Buffer
	if status := run(t.Context(), []string{"dump", "--addr", b.Addr(), "t"}, streams{out: &out, err: &messages}); status != 0 {
		t.Fatal(messages.String())
	}
	want := `{"topic":"t","partition":0,"offset":0,"timestamp":7,"timestampType":"CreateTime","key":null,"value":"dg==","headers":[]}
{"topic":"t","partition":0,"start":0,"end":1,"position":1}
`
	if out.String() != want {
		t.Errorf("it printed\n%s", out.String())
	}
}

func TestWrongUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"unknown command":       {"zookeeper"},
		"two names that differ": {"pair", "--names", "a,a"},
		"names that differ":     {"hdfs-pair", "--names", "a,a"},
		"required flag":         {"etcd"},
		"the lab has":           {"fetch", "0.8"},
	} {
		var out, messages bytes.Buffer
		if status := run(t.Context(), args, streams{in: strings.NewReader(""), out: &out, err: &messages}); status != 1 || !strings.Contains(messages.String(), want) || out.Len() > 0 {
			t.Errorf("%v: status %d, %q, %q", args, status, messages.String(), out.String())
		}
	}
}

func TestEtcdServesUntilTheContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := start(t, ctx, "etcd", "--data", t.TempDir())
	if !s.out.Scan() || !strings.HasPrefix(s.out.Text(), "etcd is ready on http://127.0.0.1:") {
		t.Fatalf("it said %q", s.out.Text())
	}
	cancel()
	s.running.Wait()
	if s.status != 0 {
		t.Errorf("status %d", s.status)
	}
}
