package hdfs_test

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// pair starts a pair of NameNodes of a test's own.
func pair(t testing.TB) place {
	t.Helper()
	p := open(t)
	cluster := labhdfs.Boot(t, labhdfs.Options{Name: "pair", HA: true, Version: os.Getenv(hadoopVersion)})
	addrs := cluster.Addrs()
	// The standby is asked first, so that a client must find the active one.
	slices.Reverse(addrs)
	p.Client = dial(t, hdfs.Options{NameNodes: addrs, RetryFor: 3 * time.Minute})
	p.cluster, p.access = cluster, cluster.Access()
	must(t, p.Mkdirs(t.Context(), p.dir, 0o755))
	return p
}

// Callers go on over an orderly failover and over the death of the active NameNode, and nothing is done twice or lost.
func TestNameNodesFailOver(t *testing.T) {
	p, ctx := pair(t), t.Context()
	if state, err := p.HAState(ctx); err != nil || state != hdfs.StateActive || p.NameNode() != p.cluster.Addrs()[0] {
		t.Fatalf("state %s at %s, %v", state, p.NameNode(), err)
	}
	stop := make(chan struct{})
	var made atomic.Int64
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() { p.churn(i, stop, &made) })
	}
	p.progress(&made, 50)
	must(t, p.judge.Failover(ctx, p.access, 2))
	p.progress(&made, 50)
	if p.NameNode() != p.cluster.Addrs()[1] {
		t.Errorf("calls go to %s", p.NameNode())
	}
	must(t, p.judge.Failover(ctx, p.access, 1))
	p.progress(&made, 50)
	must(t, p.cluster.NameNode(1).Kill())
	must(t, p.judge.Failover(ctx, p.access, 2))
	p.progress(&made, 50)
	close(stop)
	group.Wait()
	count := int64(0)
	for _, e := range p.dump("").Entries {
		if e.Type == labhdfs.Regular {
			count++
		}
	}
	if count != made.Load() {
		t.Errorf("%d files made, %d there", made.Load(), count)
	}
}

// churn makes files under one name and renames them, which fails if either is done twice.
func (p place) churn(i int, stop chan struct{}, made *atomic.Int64) {
	for j := 0; ; j++ {
		select {
		case <-stop:
			return
		default:
		}
		from, to := p.at(fmt.Sprintf("t%d", i)), p.at(fmt.Sprintf("f%d-%d", i, j))
		w, err := p.Create(p.Context(), from, hdfs.CreateOptions{})
		if err == nil {
			_, err = w.Write([]byte(to))
		}
		if err == nil {
			err = w.Close()
		}
		if err == nil {
			err = p.Rename(p.Context(), from, to)
		}
		if err != nil {
			p.Errorf("%s: %v", to, err)
			return
		}
		made.Add(1)
	}
}

// progress waits until so many more files were made.
func (p place) progress(made *atomic.Int64, more int64) {
	p.Helper()
	target := made.Load() + more
	p.until(fmt.Sprintf("%d files", target), func() bool { return made.Load() >= target || p.Failed() })
}

// A NameNode that restarts is waited for, also by those who write.
func TestNameNodeRestarts(t *testing.T) {
	p, ctx := open(t), t.Context()
	c := dial(t, hdfs.Options{NameNodes: p.cluster.Addrs(), RetryFor: 3 * time.Minute})
	w, err := c.Create(ctx, p.at("f"), hdfs.CreateOptions{BlockSize: small, Replication: 2})
	must(t, err)
	data := random(90, 3*small)
	_, err = w.Write(data[:small+99])
	must(t, err)
	must(t, p.cluster.NameNode(1).Kill())
	var restart sync.WaitGroup
	restart.Go(func() {
		if err := p.cluster.NameNode(1).Restart(background()); err != nil {
			t.Error(err)
		}
	})
	// Whatever comes of this test, the others need the NameNode.
	t.Cleanup(restart.Wait)
	_, err = w.Write(data[small+99:])
	must(t, err)
	must(t, w.Close())
	restart.Wait()
	if e := p.entry("f"); e.CRC != crcOf(data) {
		t.Errorf("the judge sees %v", e)
	}
}

func TestUnreachableIsSaidAtOnce(t *testing.T) {
	_, err := hdfs.Dial(t.Context(), hdfs.Options{NameNodes: []string{"127.0.0.1:1", "127.0.0.1:2"}, User: "x"})
	refused(t, err, hdfs.ErrUnavailable)
	if !hdfs.IsRetriable(err) || !hdfs.IsUnavailable(err) {
		t.Errorf("judged wrongly: %v", err)
	}
}
