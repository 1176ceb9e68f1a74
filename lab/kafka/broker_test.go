package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/understudy-dr/understudy/lab"
	"github.com/understudy-dr/understudy/lab/kafka"
	"github.com/understudy-dr/understudy/lab/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is what the scenes of TestBrokers share: a broker of each version, and a Java client of each.
type stage struct {
	old, new             *kafka.Broker
	oldClient, newClient *kafka.Client
	wan                  *proxy.Proxy // leads to the new one
	dir                  string       // the new one's
}

func (s *stage) both() []*kafka.Broker { return []*kafka.Broker{s.old, s.new} }

// TestBrokers plays one scene after another on one pair of brokers: a boot costs more than most scenes, and each has topics
// of its own. The last two restart them and give them up.
func TestBrokers(t *testing.T) {
	wan := listen(t)
	start, dir := time.Now(), t.TempDir()
	brokers := kafka.BootAll(t, kafka.Options{Version: kafka.V39, Name: "east"}, kafka.Options{Version: kafka.V44, Name: "west", WAN: wan, Dir: dir})
	t.Logf("both ready after %v", time.Since(start))
	s := &stage{
		old: brokers[0], new: brokers[1], wan: wan, dir: dir,
		oldClient: kafka.OpenClient(t, kafka.V39), newClient: kafka.OpenClient(t, kafka.V44),
	}
	for _, scene := range []struct {
		name string
		play func(*testing.T, *stage)
	}{
		{"class data archives are mapped", archivesAreMapped},
		{"a dump tells everything", dumpTellsEverything},
		{"isolation and log start", isolationAndLogStart},
		{"groups", groups},
		{"configs", configs},
		{"the WAN listener leads through the proxy", wanListenerLeadsThroughTheProxy},
		{"pause and resume", pauseAndResume},
		{"MirrorMaker copies", mirrorMakerCopies},
		{"a kill and a restart keep data and port", killAndRestartKeepDataAndPort},
		{"close ends it and keeps the directory", closeEndsItAndKeepsTheDirectory},
	} {
		t.Run(scene.name, func(t *testing.T) { scene.play(t, s) })
	}
}

// listen opens a proxy for the length of a test.
func listen(t *testing.T) *proxy.Proxy {
	t.Helper()
	p, err := proxy.Listen("127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	return p
}

// must ends the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// values sends n records of a topic's first partition in one request.
func values(topic string, n int) []kafka.Out {
	records := make([]kafka.Out, n)
	for i := range records {
		records[i] = kafka.Out{Ref: fmt.Sprint(i), Topic: topic, Key: fmt.Append(nil, i), Value: fmt.Appendf(nil, "value %d", i)}
	}
	return records
}

// fill makes a topic with records and returns what the cluster holds then.
func fill(t *testing.T, c *kafka.Client, a kafka.Access, topic string, n int) kafka.Contents {
	t.Helper()
	must(t, c.CreateTopics(t.Context(), a, kafka.Topic{Name: topic, Partitions: 1}))
	p, err := c.Producer(t.Context(), a, nil)
	must(t, err)
	answers, err := p.Send(t.Context(), values(topic, n)...)
	must(t, err)
	if len(answers.Acks) != n || len(answers.Refusals) != 0 {
		t.Fatalf("%d acknowledged, refused %v", len(answers.Acks), answers.Refusals)
	}
	must(t, p.Close(t.Context()))
	return dump(t, c, a, topic)
}

func dump(t *testing.T, c *kafka.Client, a kafka.Access, topics ...string) kafka.Contents {
	t.Helper()
	contents, err := c.Dump(t.Context(), a, kafka.ReadCommitted, topics...)
	must(t, err)
	return contents
}

func killAndRestart(t *testing.T, b *kafka.Broker) {
	t.Helper()
	start := time.Now()
	must(t, b.Kill())
	if b.Running() {
		t.Fatal("it runs after a kill")
	}
	must(t, b.Restart(t.Context()))
	t.Logf("%s killed and ready again after %v", b.Version(), time.Since(start))
}

// killAndRestartKeepDataAndPort kills each broker, the new one while records are written, and restarts it once more in good
// order.
func killAndRestartKeepDataAndPort(t *testing.T, s *stage) {
	c := s.newClient
	for _, b := range s.both() {
		addr, pid := b.Addr(), b.PID()
		before := fill(t, c, b.Access(), "kept", 100)
		if b == s.new {
			loadGoesOn(t, c, b)
		} else {
			killAndRestart(t, b)
		}
		if b.Addr() != addr || b.PID() == pid {
			t.Errorf("address %s then %s, process %d then %d", addr, b.Addr(), pid, b.PID())
		}
		if d := before.Diff(dump(t, c, b.Access(), "kept"), 5); d != nil {
			t.Errorf("after the kill: %s", strings.Join(d, "\n"))
		}
		start := time.Now()
		b.Set("auto.create.topics.enable", "true")
		must(t, b.Restart(t.Context()))
		t.Logf("%s stopped and ready again after %v", b.Version(), time.Since(start))
		p, err := c.Producer(t.Context(), b.Access(), nil)
		must(t, err)
		if a, err := p.Send(t.Context(), values("by-itself", 1)...); err != nil || len(a.Acks) != 1 {
			t.Errorf("after a property was set: %+v, %v", a, err)
		}
		must(t, p.Close(t.Context()))
	}
}

func pauseAndResume(t *testing.T, s *stage) {
	b, c := s.new, s.newClient
	fill(t, c, b.Access(), "held", 1)
	p, err := c.Producer(t.Context(), b.Access(), nil)
	must(t, err)
	must(t, b.Pause())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := p.Send(ctx, values("held", 1)...); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a paused broker answered: %v", err)
	}
	conn, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Errorf("a paused broker's port is closed: %v", err)
	} else {
		conn.Close()
	}
	must(t, b.Resume())
	if a, err := p.Send(t.Context(), values("held", 1)...); err != nil || len(a.Acks) != 1 {
		t.Errorf("after the pause: %+v, %v", a, err)
	}
}

func closeEndsItAndKeepsTheDirectory(t *testing.T, s *stage) {
	pid, id := s.new.PID(), s.new.ClusterID()
	must(t, s.new.Close())
	if err := syscall.Kill(pid, 0); err == nil {
		t.Error("the process is there after Close")
	}
	if _, err := kafka.Start(t.Context(), kafka.Options{Version: kafka.V44, Dir: s.dir, ClusterID: kafka.NewClusterID()}); err == nil {
		t.Error("the data of one cluster was started as another")
	}
	b, err := kafka.Start(t.Context(), kafka.Options{Version: kafka.V44, Name: "moved", Dir: s.dir})
	must(t, err)
	if b.ClusterID() != id {
		t.Errorf("the directory of cluster %s was started as %s", id, b.ClusterID())
	}
	must(t, b.Close())
}

func wanListenerLeadsThroughTheProxy(t *testing.T, s *stage) {
	b, c, wan := s.new, s.newClient, s.wan
	near := fill(t, c, b.Access(), "far", 10)
	wan.Delay(100 * time.Millisecond)
	start := time.Now()
	far := dump(t, c, kafka.Access{Addr: b.WANAddr()}, "far")
	if d := near.Diff(far, 5); d != nil {
		t.Error(strings.Join(d, "\n"))
	}
	if took := time.Since(start); took < 200*time.Millisecond {
		t.Errorf("a dump over 100 ms took %v: the client went past the proxy", took)
	}
	p, err := c.Producer(t.Context(), kafka.Access{Addr: b.WANAddr()}, map[string]string{"delivery.timeout.ms": "1000", "request.timeout.ms": "500", "max.block.ms": "1000", "linger.ms": "0"})
	must(t, err)
	wan.Cut()
	a, err := p.Send(t.Context(), values("far", 1)...)
	must(t, err)
	if len(a.Refusals) != 1 {
		t.Errorf("over a cut path: %+v", a)
	}
	must(t, p.Close(t.Context()))
}

func TestUnknownVersion(t *testing.T) {
	_, err := kafka.Start(t.Context(), kafka.Options{Version: "0.8", Name: "x", Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), kafka.V44) {
		t.Errorf("no hint at what there is: %v", err)
	}
}

func TestBadPropertyShowsTheLog(t *testing.T) {
	_, err := kafka.Start(t.Context(), kafka.Options{
		Version: kafka.V44, Name: "x", Dir: t.TempDir(), Properties: map[string]string{"num.io.threads": "none"},
	})
	var missing *lab.Missing
	if errors.As(err, &missing) {
		t.Skip(missing)
	}
	if err == nil || !strings.Contains(err.Error(), "num.io.threads") {
		t.Errorf("the error does not show why: %v", err)
	}
}
