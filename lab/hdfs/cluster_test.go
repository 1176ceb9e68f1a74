package hdfs_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab/hdfs"
)

func TestKillAndRestartKeepsDataAndPorts(t *testing.T) {
	p := open(t)
	p.put(hdfs.File{Path: "f", Size: 3 << 20, Seed: 1, BlockSize: 1 << 20})
	before, addr, pid := p.dump(""), p.cluster.Addr(), p.cluster.NameNode(1).PID()
	start := time.Now()
	must(t, p.cluster.Kill())
	if p.cluster.Running() {
		t.Fatal("it runs after a kill")
	}
	must(t, p.cluster.Restart(t.Context()))
	t.Logf("killed and ready again after %v", time.Since(start))
	if p.cluster.Addr() != addr || p.cluster.NameNode(1).PID() == pid {
		t.Errorf("address %s then %s, process %d then %d", addr, p.cluster.Addr(), pid, p.cluster.NameNode(1).PID())
	}
	if d := before.Diff(p.dump(""), 5); d != nil {
		t.Error(strings.Join(d, "\n"))
	}
	// No other test has names as long as this: the limit stays.
	p.cluster.Set("dfs.namenode.fs-limits.max-component-length", "200")
	start = time.Now()
	must(t, p.cluster.Restart(t.Context()))
	t.Logf("stopped and ready again after %v", time.Since(start))
	must(t, p.client.MkdirAll(t.Context(), p.access, p.at(strings.Repeat("n", 200))))
	refused(t, p.client.MkdirAll(t.Context(), p.access, p.at(strings.Repeat("n", 201))), "PathComponentTooLongException")
}

func TestPauseAndResume(t *testing.T) {
	p := open(t)
	must(t, p.cluster.Pause())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := p.client.MkdirAll(ctx, p.access, p.at("late")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a paused cluster answered: %v", err)
	}
	conn, err := net.Dial("tcp", p.cluster.Addr())
	if err != nil {
		t.Errorf("a paused NameNode's port is closed: %v", err)
	} else {
		conn.Close()
	}
	must(t, p.cluster.Resume())
	must(t, p.client.MkdirAll(t.Context(), p.access, p.at("again")))
}

// TestOneDataNodeIsKilled shows that a file outlives the loss of each DataNode in turn, and that a killed one
// comes back with its blocks.
func TestOneDataNodeIsKilled(t *testing.T) {
	start := time.Now()
	c := hdfs.Boot(t, hdfs.Options{SeparateDataNodes: true})
	t.Logf("three JVMs ready after %v", time.Since(start))
	j, a := open(t).client, c.Access()
	must(t, j.Put(t.Context(), a, hdfs.File{Path: "/f", Size: 2 << 20, BlockSize: 1 << 20}))
	whole, err := j.Read(t.Context(), a, "/f")
	must(t, err)
	for i := range 2 {
		must(t, c.DataNode(i+1).Kill())
		if c.DataNode(i+1).Running() || !c.NameNode(1).Running() || !c.DataNode(2-i).Running() {
			t.Error("not that one died")
		}
		if b, err := j.Read(t.Context(), a, "/f"); err != nil || len(b) != len(whole) {
			t.Errorf("without DataNode %d: %d bytes, %v", i+1, len(b), err)
		}
		must(t, c.DataNode(i+1).Restart(t.Context()))
	}
	must(t, c.NameNode(1).Kill())
	must(t, c.NameNode(1).Restart(t.Context()))
	if b, err := j.Read(t.Context(), a, "/f"); err != nil || string(b) != string(whole) {
		t.Errorf("after all were killed: %d bytes, %v", len(b), err)
	}
}

func TestJMXCountsCalls(t *testing.T) {
	p := open(t)
	calls := func() float64 {
		bean, err := hdfs.JMX(t.Context(), p.cluster.HTTP(), "Hadoop:service=NameNode,name=NameNodeActivity")
		must(t, err)
		n, ok := bean["CreateFileOps"].(float64)
		if !ok {
			t.Fatalf("no count in %v", bean)
		}
		return n
	}
	before := calls()
	p.put(hdfs.File{Path: "a"}, hdfs.File{Path: "b"})
	// The bean is a second old at most.
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for calls() < before+2 {
		<-tick.C
	}
	if _, err := hdfs.JMX(t.Context(), p.cluster.HTTP(), "Hadoop:service=Nobody,name=x"); err == nil {
		t.Error("an unknown bean was found")
	}
}

func TestClientDirectoryIsForHadoopsTools(t *testing.T) {
	p := open(t)
	for file, want := range map[string]string{"core-site.xml": "<name>fs.defaultFS</name>", "hdfs-site.xml": "<name>dfs.replication</name>"} {
		b, err := os.ReadFile(filepath.Join(p.cluster.ClientDir(), file))
		if err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s: %s, %v", file, b, err)
		}
	}
	text, err := p.client.Tool(t.Context(), p.access, "dfsadmin", "-report", "-live")
	if err != nil || !strings.Contains(text, "Live datanodes (2)") {
		t.Errorf("%s, %v", text, err)
	}
	if _, err := p.client.Tool(t.Context(), p.access, "dfsadmin", "-fly"); err == nil {
		t.Error("an unknown command did not fail")
	}
}

func TestBadPropertyShowsTheLog(t *testing.T) {
	open(t)
	_, err := hdfs.Start(t.Context(), hdfs.Options{Dir: t.TempDir(), Properties: map[string]string{"dfs.blocksize": "none"}})
	if err == nil || !strings.Contains(err.Error(), "NumberFormatException") {
		t.Errorf("the error does not show why: %v", err)
	}
}

func TestWhatDoesNotFitTogether(t *testing.T) {
	for want, o := range map[string]hdfs.Options{
		"no directory":     {Name: "x"},
		"protection needs": {Dir: t.TempDir(), Protection: hdfs.Privacy},
		// The realm gives no keys.
		"none": {Dir: t.TempDir(), HA: true, Kerberos: noRealm{}},
	} {
		if _, err := hdfs.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

type noRealm struct{}

func (noRealm) Name() string                  { return "NONE" }
func (noRealm) Config() string                { return "" }
func (noRealm) Keytab(string) (string, error) { return "", errors.New("none") }
