package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab"
	"github.com/understudy-dr/understudy/lab/kafka"
	"github.com/understudy-dr/understudy/lab/proxy"
)

// estate is two sites with one cluster each, the product's binary, and Kafka's own client. The product reaches
// each site over a path that a test can delay and cut; applications are near their cluster.
type estate struct {
	binary     string
	east, west *kafka.Broker
	toEast     *proxy.Proxy
	toWest     *proxy.Proxy
	java       *kafka.Client
}

// built is the product, which the tests of one run share; making is the first one's.
var (
	built struct {
		dir string
		err error
	}
	making sync.Once
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := os.RemoveAll(built.dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// product builds the command once for the tests of one run: linking it takes longer than a story's start.
func product(t *testing.T) string {
	t.Helper()
	making.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "us-e2e-product-"); built.err != nil {
			return
		}
		// Nobody reads the debugging information.
		build := exec.Command("go", "build", "-ldflags=-w", "-o", built.dir, "github.com/understudy-dr/understudy/cmd/understudy")
		if out, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	must(t, built.err)
	return filepath.Join(built.dir, "understudy")
}

// open starts both clusters, 3.9.1 in the east and 4.4.0 in the west, and skips without Java or Maven. The client is the
// caller's to choose.
func open(t *testing.T, change func(*kafka.Options)) *estate {
	t.Helper()
	e := &estate{toEast: path(t), toWest: path(t)}
	options := []kafka.Options{
		{Version: kafka.V39, Name: "east", WAN: e.toEast},
		{Version: kafka.V44, Name: "west", WAN: e.toWest},
	}
	for i := range options {
		if change != nil {
			change(&options[i])
		}
	}
	brokers := kafka.BootAll(t, options...)
	e.east, e.west = brokers[0], brokers[1]
	e.binary = product(t)
	return e
}

func path(t *testing.T) *proxy.Proxy {
	t.Helper()
	p, err := proxy.Listen("127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

// folder is a directory with a short name: sockets are in it.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "us-e2e-")
	must(t, err)
	t.Cleanup(func() {
		if !t.Failed() {
			_ = os.RemoveAll(dir)
		}
	})
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answer takes a value that came with an error.
func answer[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// errNotYet is what a condition says while it waits without a reason worth telling.
var errNotYet = errors.New("not yet")

// What is waited for is asked for this often, for an answer is work for those whom the test is about; what passes quickly
// more often.
const (
	pace  = 100 * time.Millisecond
	blink = 20 * time.Millisecond
)

// eventually asks again and again until the condition holds; after the limit the test ends with its last word.
func eventually(t *testing.T, limit time.Duration, what string, condition func() error) {
	t.Helper()
	every(t, pace, limit, what, condition)
}

// every does so at a pace of its own.
func every(t *testing.T, pace, limit time.Duration, what string, condition func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within %v: %v", what, limit, err)
		}
	}
}

// site and plan files.

// siteFile gives the document of a site whose cluster is reached over the given address.
func siteFile(name, addr string) string {
	return fmt.Sprintf("site: %s\nclusters:\n  streaming:\n    kafka: { brokers: [%q] }\n---\n", name, addr)
}

// planFile gives the document of a plan with one workload called events.
func planFile(name, topics string) string {
	return fmt.Sprintf(`plan: %s
home: east
sites: [east, west]
workloads:
  - name: events
    kind: kafka
    architecture: active-passive
    cluster: streaming
    objective: { rpo: 30s, rto: 10m }
    onFailure: stop
    topics: [%q]
`, name, topics)
}

// documents are both sites over their paths, and a plan.
func (e *estate) documents(plan, topics string) string {
	return siteFile("east", e.east.WANAddr()) + siteFile("west", e.west.WANAddr()) + planFile(plan, topics)
}

// create makes topics in the east.
func (e *estate) create(t *testing.T, topics ...kafka.Topic) {
	t.Helper()
	must(t, e.java.CreateTopics(t.Context(), e.east.Access(), topics...))
}

// send sends records with a producer of its own and wants all of them acknowledged.
func (e *estate) send(t *testing.T, b *kafka.Broker, properties map[string]string, records ...kafka.Out) {
	t.Helper()
	p, err := e.java.Producer(t.Context(), b.Access(), properties)
	must(t, err)
	a, err := p.Send(t.Context(), records...)
	must(t, err)
	if len(a.Refusals) > 0 {
		t.Fatalf("%d records refused by %s: %s", len(a.Refusals), b.Name(), a.Refusals[0].Error)
	}
	must(t, p.Close(t.Context()))
}

// load starts a load on a cluster. Its batches are those of a few records: with one a batch, the servers would spend their
// time on requests.
func (e *estate) load(t *testing.T, b *kafka.Broker, s kafka.Steady) (*kafka.Load, *kafka.Producer) {
	t.Helper()
	p, err := e.java.Producer(t.Context(), b.Access(), map[string]string{"linger.ms": "40"})
	must(t, err)
	l, err := p.Load(t.Context(), s)
	must(t, err)
	return l, p
}

// dump reads topics with Kafka's own consumer.
func (e *estate) dump(t *testing.T, b *kafka.Broker, isolation kafka.Isolation, topics ...string) kafka.Contents {
	t.Helper()
	c, err := e.java.Dump(t.Context(), b.Access(), isolation, topics...)
	must(t, err)
	return c
}

// ranges reads the same, and tells only where the partitions start and end.
func (e *estate) ranges(t *testing.T, b *kafka.Broker, isolation kafka.Isolation, topics ...string) []kafka.Range {
	t.Helper()
	all, err := e.java.Ranges(t.Context(), b.Access(), isolation, topics...)
	must(t, err)
	return all
}

var _ lab.Test = (*testing.T)(nil)
